# Checking and drawing fits.
#
# needs   the posterior, summary and scores of each model
# makes   models/<model>/checks.csv and models/<model>/figures/
# steps   posterior predictive checks; figures of each fit


rule check_predictions:
    """
    Check the predictions that {wildcards.model} of {wildcards.study} makes of its own data.
    """
    input:
        data="results/{study}/data.nc",
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        statistics="results/{study}/models/{model}/checks.csv",
        densities="results/{study}/models/{model}/figures/predictive_density.csv",
    log:
        "results/{study}/logs/check_predictions.{model}.log",
    benchmark:
        "results/{study}/benchmarks/check_predictions.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        model=model_params,
        seed=lambda wildcards: model_of(wildcards)["seed"],
        groups=lambda wildcards: rules.groups(plan_of(wildcards)),
        code=code_of("check_predictions.py", "families"),
        stack=rules.pins(LOCKED, "numpy", "scipy"),
    script:
        "../scripts/check_predictions.py"


rule draw_fit:
    """
    Draw traces, ranks, energy and Pareto k of {wildcards.model} of {wildcards.study}.
    """
    input:
        data="results/{study}/data.nc",
        posterior="results/{study}/models/{model}/posterior.nc",
        summary="results/{study}/models/{model}/summary.csv",
        loo="results/{study}/models/{model}/scores/loo.observation.json",
        units="results/{study}/models/{model}/scores/loo.observation.parquet",
    output:
        multiext(
            "results/{study}/models/{model}/figures/trace",
            trace=".svg",
            trace_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/ranks",
            ranks=".svg",
            ranks_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/energy",
            energy=".svg",
            energy_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/pareto_k",
            pareto_k=".svg",
            pareto_k_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_fit.{model}.log",
    benchmark:
        "results/{study}/benchmarks/draw_fit.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        model=model_params,
        groups=lambda wildcards: rules.groups(plan_of(wildcards)),
        code=code.digest("draw_fit.py"),
        stack=rules.pins(LOCKED, "matplotlib"),
    script:
        "../scripts/draw_fit.py"


rule draw_shrinkage:
    """
    Draw how far {wildcards.model} of {wildcards.study} pulls each level of its first varying intercept towards the rest.
    """
    input:
        data=data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        multiext(
            "results/{study}/models/{model}/figures/shrinkage",
            figure=".svg",
            drawn=".csv",
        ),
    log:
        "results/{study}/logs/draw_shrinkage.{model}.log",
    benchmark:
        "results/{study}/benchmarks/draw_shrinkage.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        model=model_params,
        quantity=lambda wildcards: rules.quantity(plan_of(wildcards)),
        code=code.digest("draw_shrinkage.py"),
        stack=rules.pins(LOCKED, "matplotlib"),
    script:
        "../scripts/draw_shrinkage.py"
