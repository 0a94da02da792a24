# From raw tables to the prepared dataset.
#
# needs   the tables of the study file and the data packages beside them
# makes   results/<study>/data.nc, data_summary.json, study.yaml
# steps   verify, join, derive, filter, drop incomplete rows, centre; then describe the result


rule prepare_data:
    """
    Prepare the data of {wildcards.study}: verify the raw tables, join them, derive columns and keep the rows that are
    complete for every candidate.

    Its parameters are only what decides data.nc. No fit takes data.nc's time of change as a reason to rerun: fits carry
    the fingerprint of the columns they use.
    """
    input:
        tables=raw_tables,
    output:
        data="results/{study}/data.nc",
    params:
        data=lambda wildcards: rules.as_json(plan_of(wildcards)["data"]),
        drop_missing_in=lambda wildcards: plan_of(wildcards)["drop_missing_in"],
        code=code.digest("prepare_data.py"),
    log:
        "results/{study}/logs/prepare_data.log",
    benchmark:
        "results/{study}/benchmarks/prepare_data.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/prepare_data.py"


rule describe_data:
    """
    Describe the data of {wildcards.study} for its report.
    """
    input:
        data="results/{study}/data.nc",
    output:
        summary="results/{study}/data_summary.json",
    params:
        response=lambda wildcards: rules.responses(plan_of(wildcards))[0],
        groups=lambda wildcards: rules.groups(plan_of(wildcards)),
        used=lambda wildcards: rules.used(plan_of(wildcards)),
        words=lambda wildcards: rules.words(plan_of(wildcards)),
        code=code.digest("describe_data.py"),
    log:
        "results/{study}/logs/describe_data.log",
    benchmark:
        "results/{study}/benchmarks/describe_data.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/describe_data.py"


rule write_plan:
    """
    Write the resolved plan of {wildcards.study}: every model, prior, seed and comparison as it is run.
    """
    output:
        plan="results/{study}/study.yaml",
    params:
        plan=lambda wildcards: rules.as_json(plan_of(wildcards)),
        code=code.digest("write_plan.py"),
    log:
        "results/{study}/logs/write_plan.log",
    benchmark:
        "results/{study}/benchmarks/write_plan.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/write_plan.py"
