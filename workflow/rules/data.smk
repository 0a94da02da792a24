# From raw tables to the prepared dataset.
#
# needs   the tables of the study file and the data packages beside them
# makes   results/<study>/data.nc (every column), data/<fingerprint>.nc (what some model uses), data_summary.json, figures/missingness, study.yaml
# steps   verify, reshape, join, derive, filter, drop incomplete rows, centre; hand each model its columns; describe the result


rule prepare_data:
    """
    Prepare the data of {wildcards.study}: verify the raw tables, reshape and join them, derive columns and keep the rows that are
    complete for every candidate.
    """
    input:
        tables=raw_tables,
    output:
        data="results/{study}/data.nc",
    log:
        "results/{study}/logs/prepare_data.log",
    benchmark:
        "results/{study}/benchmarks/prepare_data.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        data=lambda wildcards: rules.data(plan_of(wildcards)),
        drop_missing_in=lambda wildcards: plan_of(wildcards)["drop_missing_in"],
        code=code.digest("prepare_data.py"),
    script:
        "../scripts/prepare_data.py"


rule select_data:
    """
    Hand out the columns that some model of {wildcards.study} uses, in a file named after their content.

    Every job of a model reads this file and not data.nc, so a new derived column, or a new candidate, touches no other
    model; the plan knows the content, and a change of content is another file. So no time of change counts here, and
    nothing that could change without changing the content is a parameter; `code` is the code that writes and reads such a
    file, which every job of a model carries too. The raw tables are no inputs, because one more of them would be a reason
    to select again, and to fit again; `study` asks for `output`, because Snakemake takes no change of such a parameter as a
    reason. (Not `ancient("data.nc")`: Snakemake does not look at the params of jobs behind an ancient input that is being
    made, and would miss their changes.)
    """
    output:
        data="results/{study}/data/{fingerprint}.nc",
    log:
        "results/{study}/logs/select_data.{fingerprint}.log",
    benchmark:
        "results/{study}/benchmarks/select_data.{fingerprint}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        study=lambda wildcards, output: plan_of(wildcards)["file"],
        code=code.of_modules("multilevel.dataset"),
    script:
        "../scripts/select_data.py"


rule describe_data:
    """
    Describe the data of {wildcards.study} for its report, in numbers and in a picture of what is missing.
    """
    input:
        data="results/{study}/data.nc",
    output:
        multiext(
            "results/{study}/figures/missingness",
            missingness=".svg",
            missingness_png=".png",
            missingness_data=".csv",
        ),
        summary="results/{study}/data_summary.json",
    log:
        "results/{study}/logs/describe_data.log",
    benchmark:
        "results/{study}/benchmarks/describe_data.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        response=lambda wildcards: rules.responses(plan_of(wildcards))[0],
        groups=lambda wildcards: rules.groups(plan_of(wildcards)),
        used=lambda wildcards: rules.used(plan_of(wildcards)),
        words=lambda wildcards: rules.words(plan_of(wildcards)),
        code=code.digest("describe_data.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/describe_data.py"


rule write_plan:
    """
    Write the resolved plan of {wildcards.study}: every model, prior, seed and comparison as it is run.
    """
    output:
        plan="results/{study}/study.yaml",
    log:
        "results/{study}/logs/write_plan.log",
    benchmark:
        "results/{study}/benchmarks/write_plan.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        plan=lambda wildcards: json.dumps(plan_of(wildcards)),
        code=code.digest("write_plan.py"),
    script:
        "../scripts/write_plan.py"
