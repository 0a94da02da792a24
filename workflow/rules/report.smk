# Reporting.
#
# needs   the small files of a study: JSON, CSV, figures; never a posterior
# makes   provenance.json, report.qmd, report.html of each study, and results/index.html
# steps   record what results were made from; write the source; typeset it; list the studies


onerror:
    rules.tell_failed(
        rules.without_fit(STUDIES, LOCKED, Path("results")),
        Path(".snakemake/multilevel_not_fitted.json"),
    )


rule record_provenance:
    """
    Record what the results of {wildcards.study} were made from: versions, commit, seeds, identity of each fit.
    """
    input:
        fits=of_fitted("results/{study}/models/{model}/fit.json"),
    output:
        record="results/{study}/provenance.json",
    log:
        "results/{study}/logs/record_provenance.log",
    benchmark:
        "results/{study}/benchmarks/record_provenance.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        study_file=lambda wildcards: plan_of(wildcards)["file"],
        models=lambda wildcards: list(plan_of(wildcards)["models"]),
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder=lambda wildcards, output: f"{Path(output.record).parent}/models",
        code=code.digest("record_provenance.py"),
    script:
        "../scripts/record_provenance.py"


rule write_report:
    """
    Write the source of the report of {wildcards.study}.
    """
    input:
        files=small_files_of,
        figures=figures_of,
        templates=REPORT_TEMPLATES,
    output:
        source="results/{study}/report.qmd",
    log:
        "results/{study}/logs/write_report.log",
    benchmark:
        "results/{study}/benchmarks/write_report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        plan=lambda wildcards: rules.report_plan(plan_of(wildcards)),
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder=lambda wildcards, output: str(Path(output.source).parent),
        code=code.digest("write_report.py"),
    script:
        "../scripts/write_report.py"


rule render_report:
    """
    Typeset the report of {wildcards.study} with Quarto where it is installed, with Pandoc otherwise.
    """
    input:
        source="results/{study}/report.qmd",
        figures=figures_of,
        theme=REPORT_THEME,
    output:
        page="results/{study}/report.html",
    log:
        "results/{study}/logs/render_report.log",
    benchmark:
        "results/{study}/benchmarks/render_report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        code=code.digest("render_report.py"),
    script:
        "../scripts/render_report.py"


rule write_index:
    """
    Write the page that lists the studies of this run.
    """
    input:
        reports=expand("results/{study}/report.html", study=STUDIES),
        templates=REPORT_TEMPLATES,
        theme=REPORT_THEME,
    output:
        index="results/index.html",
    log:
        "results/logs/write_index.log",
    benchmark:
        "results/benchmarks/write_index.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        plans=lambda wildcards: json.dumps(
            {
                name: json.loads(rules.report_plan(plan))
                for name, plan in STUDIES.items()
            }
        ),
        not_fitted=rules.as_json(NOT_FITTED),
        folder=lambda wildcards, output: str(Path(output.index).parent),
        code=code.digest("write_index.py"),
    script:
        "../scripts/write_index.py"
