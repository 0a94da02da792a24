# Reporting.
#
# needs   the small files of a study: JSON, CSV, figures; never a posterior
# makes   provenance.json, report.qmd, report.html of each study, and results/index.html
# steps   record what results were made from; write the source; typeset it; list the studies


def figures_of(wildcards):
    """Return the figures of a study, of its fits and of its comparisons."""
    plan, here = plan_of(wildcards), f"results/{wildcards.study}"
    names = ["trace", "ranks", "energy", "pareto_k"]
    found = expand(f"{here}/models/{{model}}/figures/{{name}}.svg", model=fitted(wildcards.study), name=names)
    found += expand(f"{here}/models/{{model}}/figures/shrinkage.svg", model=rules.shrinking(plan, fitted(wildcards.study)))
    found += expand(f"{here}/figures/{{name}}.{{c}}.svg", c=plan["comparisons"], name=["elpd_differences", "pointwise"])
    found += expand(f"{here}/figures/{{name}}.{{g}}.svg", g=rules.groups(plan), name=["data_response_by_group", "group_sizes"])
    if fitted(wildcards.study):
        names = ["fixed_effects", "predictive_density", "predictive_statistics"]
        found += expand(f"{here}/figures/{{name}}.svg", name=names)
    return found


def small_files_of(wildcards):
    """Return the JSON and CSV files that a study's report is made from."""
    plan, here = plan_of(wildcards), f"results/{wildcards.study}"
    names = ["diagnostics.json", "summary.csv", "checks.csv", "scores/loo.observation.json", "scores/dic.conditional.json"]
    found = [f"{here}/data_summary.json", f"{here}/provenance.json", f"{here}/study.yaml"]
    found += expand(f"{here}/models/{{model}}/{{name}}", model=fitted(wildcards.study), name=names)
    found += expand(f"{here}/models/{{model}}/{{name}}", model=plan["models"], name=["priors.json", "equations.json"])
    return found + expand(f"{here}/comparisons/{{c}}.observation.csv", c=plan["comparisons"])


rule record_provenance:
    """
    Record what the results of {wildcards.study} were made from: versions, commit, seeds, identity of each fit.
    """
    input:
        fits=of_fitted("results/{study}/models/{model}/fit.json"),
    output:
        record="results/{study}/provenance.json",
    params:
        study_file=lambda wildcards: plan_of(wildcards)["file"],
        models=lambda wildcards: list(plan_of(wildcards)["models"]),
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder="results/{study}/models",
        code=code.digest("record_provenance.py"),
    log:
        "results/{study}/logs/record_provenance.log",
    benchmark:
        "results/{study}/benchmarks/record_provenance.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/record_provenance.py"


rule write_report:
    """
    Write the source of the report of {wildcards.study}.
    """
    input:
        files=small_files_of,
        figures=figures_of,
        templates=sorted(str(p) for p in Path(workflow.basedir).glob("reports/templates/**/*.j2")),
    output:
        source="results/{study}/report.qmd",
    params:
        plan=lambda wildcards: rules.report_plan(plan_of(wildcards)),
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder="results/{study}",
        code=code.digest("write_report.py"),
    log:
        "results/{study}/logs/write_report.log",
    benchmark:
        "results/{study}/benchmarks/write_report.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/write_report.py"


rule render_report:
    """
    Typeset the report of {wildcards.study} with Quarto where it is installed, with Pandoc otherwise.
    """
    input:
        source="results/{study}/report.qmd",
        figures=figures_of,
        theme=sorted(str(p) for p in Path(workflow.basedir).glob("reports/theme/*")),
    output:
        page="results/{study}/report.html",
    params:
        code=code.digest("render_report.py"),
    log:
        "results/{study}/logs/render_report.log",
    benchmark:
        "results/{study}/benchmarks/render_report.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/render_report.py"


rule write_index:
    """
    Write the page that lists the studies of this run.
    """
    input:
        reports=expand("results/{study}/report.html", study=STUDIES),
    output:
        index="results/index.html",
    params:
        plans=lambda wildcards: json.dumps({name: json.loads(rules.report_plan(plan)) for name, plan in STUDIES.items()}),
        not_fitted=rules.as_json(NOT_FITTED),
        folder="results",
        code=code.digest("write_index.py"),
    log:
        "results/logs/write_index.log",
    benchmark:
        "results/benchmarks/write_index.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/write_index.py"
