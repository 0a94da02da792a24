# Checking and drawing fits.
#
# needs   the posterior, summary and scores of each model
# makes   models/<model>/checks*.csv, densities.parquet, trajectories.csv and models/<model>/figures/
# steps   posterior predictive checks; figures of each fit: of its chains, of the effects of each grouping, over time


rule check_predictions:
    """
    Check the predictions that {wildcards.model} of {wildcards.study} makes of its own data.
    """
    input:
        data="results/{study}/data.nc",
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        statistics="results/{study}/models/{model}/checks.csv",
        by_group="results/{study}/models/{model}/checks_by_group.csv",
        quantiles="results/{study}/models/{model}/checks_quantiles.csv",
        coverage="results/{study}/models/{model}/checks_coverage.csv",
        densities="results/{study}/models/{model}/densities.parquet",
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
        stack=rules.pins(LOCKED, "numpy", "pyarrow", "scipy"),
    script:
        "../scripts/check_predictions.py"


rule draw_fit:
    """
    Draw traces, ranks, pairs, energy, Pareto k of {wildcards.model} of {wildcards.study}, and what it predicts for the
    largest groups.
    """
    input:
        data="results/{study}/data.nc",
        posterior="results/{study}/models/{model}/posterior.nc",
        summary="results/{study}/models/{model}/summary.csv",
        loo="results/{study}/models/{model}/scores/loo.observation.json",
        units="results/{study}/models/{model}/scores/loo.observation.parquet",
        densities="results/{study}/models/{model}/densities.parquet",
    output:
        multiext(
            "results/{study}/models/{model}/figures/trace",
            trace=".svg",
            trace_png=".png",
            trace_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/ranks",
            ranks=".svg",
            ranks_png=".png",
            ranks_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/pairs",
            pairs=".svg",
            pairs_png=".png",
            pairs_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/energy",
            energy=".svg",
            energy_png=".png",
            energy_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/pareto_k",
            pareto_k=".svg",
            pareto_k_png=".png",
            pareto_k_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/predictive_by_group",
            predictive_by_group=".svg",
            predictive_by_group_png=".png",
            predictive_by_group_data=".csv",
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
        quantity=quantity_of,
        code=code.digest("draw_fit.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_fit.py"


rule draw_suited:
    """
    Draw the predictive check that suits the family of {wildcards.model} of {wildcards.study}: its {wildcards.suited}.
    """
    input:
        data=data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        multiext(
            "results/{study}/models/{model}/figures/{suited}",
            figure=".svg",
            figure_png=".png",
            figure_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_suited.{model}.{suited}.log",
    benchmark:
        "results/{study}/benchmarks/draw_suited.{model}.{suited}.tsv"
    wildcard_constraints:
        suited="rootogram|calibration",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        model=model_params,
        seed=lambda wildcards: model_of(wildcards)["seed"],
        quantity=quantity_of,
        code=code_of("draw_suited.py", "families"),
        stack=rules.pins(LOCKED, "matplotlib", "numpy", "pillow", "scipy"),
    script:
        "../scripts/draw_suited.py"


rule draw_trajectories:
    """
    Draw what {wildcards.model} of {wildcards.study} expects of each subject over time, and of a new one.
    """
    input:
        data="results/{study}/data.nc",
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        multiext(
            "results/{study}/models/{model}/figures/trajectories",
            figure=".svg",
            figure_png=".png",
            figure_data=".csv",
        ),
        table="results/{study}/models/{model}/trajectories.csv",
    log:
        "results/{study}/logs/draw_trajectories.{model}.log",
    benchmark:
        "results/{study}/benchmarks/draw_trajectories.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        model=model_params,
        seed=lambda wildcards: model_of(wildcards)["seed"],
        trajectories=lambda wildcards: rules.trajectories(plan_of(wildcards)),
        quantity=quantity_of,
        code=code_of("draw_trajectories.py", "families"),
        stack=rules.pins(LOCKED, "matplotlib", "numpy", "pillow", "scipy"),
    script:
        "../scripts/draw_trajectories.py"


rule draw_effects:
    """
    Draw the effects of {wildcards.group} in {wildcards.model} of {wildcards.study}, in order of size, and how far each
    level is pulled towards the rest.
    """
    input:
        data=data_of,
        summary="results/{study}/models/{model}/summary.csv",
    output:
        multiext(
            "results/{study}/models/{model}/figures/caterpillar.{group}",
            caterpillar=".svg",
            caterpillar_png=".png",
            caterpillar_data=".csv",
        ),
        multiext(
            "results/{study}/models/{model}/figures/shrinkage.{group}",
            shrinkage=".svg",
            shrinkage_png=".png",
            shrinkage_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_effects.{model}.{group}.log",
    benchmark:
        "results/{study}/benchmarks/draw_effects.{model}.{group}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        model=model_params,
        group=group_of,
        quantity=quantity_of,
        code=code.digest("draw_effects.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_effects.py"


rule draw_shrinkage_plane:
    """
    Draw how far {wildcards.model} of {wildcards.study} pulls each level's intercept and slope of {wildcards.group}, which
    are correlated.
    """
    input:
        data=data_of,
        summary="results/{study}/models/{model}/summary.csv",
    output:
        multiext(
            "results/{study}/models/{model}/figures/shrinkage_plane.{group}",
            figure=".svg",
            figure_png=".png",
            figure_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_shrinkage_plane.{model}.{group}.log",
    benchmark:
        "results/{study}/benchmarks/draw_shrinkage_plane.{model}.{group}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        model=model_params,
        group=group_of,
        quantity=quantity_of,
        code=code.digest("draw_shrinkage_plane.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_shrinkage_plane.py"
