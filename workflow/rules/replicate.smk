# Comparing with published numbers.
#
# needs   the published numbers of the study file; data, posterior, diagnostics and scores of the models they belong to
# makes   models/<model>/maximum.<estimator>.json (ML and REML fits), models/<model>/published.csv, replication.csv
# steps   fit by the published estimator; summarise the posterior of the published quantities; compare by one fixed rule


rule maximise_likelihood:
    """
    Fit {wildcards.model} of {wildcards.study} by {wildcards.estimator}, to compare with numbers published by it.
    """
    input:
        data=data_of,
    output:
        record="results/{study}/models/{model}/maximum.{estimator}.json",
    log:
        "results/{study}/logs/maximise_likelihood.{model}.{estimator}.log",
    benchmark:
        "results/{study}/benchmarks/maximise_likelihood.{model}.{estimator}.tsv"
    wildcard_constraints:
        estimator="ml|reml|quadrature",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        model=model_params,
        code=code.digest("maximise_likelihood.py"),
        stack=rules.pins(LOCKED, "numpy", "scipy"),
    script:
        "../scripts/maximise_likelihood.py"


rule estimate_published:
    """
    Summarise what {wildcards.model} of {wildcards.study} says of the quantities that have published numbers.
    """
    input:
        data=data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        table="results/{study}/models/{model}/published.csv",
    log:
        "results/{study}/logs/estimate_published.{model}.log",
    benchmark:
        "results/{study}/benchmarks/estimate_published.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        model=model_params,
        quantities=lambda wildcards: rules.as_json(
            rules.published_of(plan_of(wildcards), wildcards.model)
        ),
        code=code_of("estimate_published.py", "families"),
        stack=rules.pins(LOCKED, "arviz-stats", "numpy", "scipy"),
    script:
        "../scripts/estimate_published.py"


rule replicate:
    """
    Compare the published numbers of {wildcards.study} with ours, by one rule for all.
    """
    input:
        files=lambda wildcards: [
            f"results/{wildcards.study}/{name}"
            for name in rules.replicated_files(
                plan_of(wildcards), fitted(wildcards.study)
            )
        ],
    output:
        table="results/{study}/replication.csv",
    log:
        "results/{study}/logs/replicate.log",
    benchmark:
        "results/{study}/benchmarks/replicate.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        published=lambda wildcards: rules.as_json(plan_of(wildcards)["published"]),
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder=lambda wildcards: f"results/{wildcards.study}/models",
        code=code.digest("replicate.py"),
        stack=rules.pins(LOCKED, "numpy", "scipy"),
    script:
        "../scripts/replicate.py"
