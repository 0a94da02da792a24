# Comparing models.
#
# needs   diagnostics and scores of the models of each comparison
# makes   comparisons/<name>.<unit>.csv with the differences by unit and what to know of them beside it; where observations
#         are left out, the predictions of the mixture by stacking weights; figures of the study
# steps   rank what passed its checks on equal data; mix the predictions; draw data, estimates, predictions, differences


rule compare_models:
    """
    Compare the models of {wildcards.comparison} in {wildcards.study} by scores of leaving out: {wildcards.unit}.
    """
    input:
        diagnostics=of_compared("results/{study}/models/{model}/diagnostics.json"),
        records=of_compared("results/{study}/models/{model}/scores/{score}.json"),
        units=of_compared("results/{study}/models/{model}/scores/{score}.parquet"),
        dic=compared_dic,
    output:
        table="results/{study}/comparisons/{comparison}.{unit}.csv",
        differences="results/{study}/comparisons/{comparison}.{unit}.differences.parquet",
        record="results/{study}/comparisons/{comparison}.{unit}.json",
    log:
        "results/{study}/logs/compare_models.{comparison}.{unit}.log",
    benchmark:
        "results/{study}/benchmarks/compare_models.{comparison}.{unit}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=lambda wildcards: plan_of(wildcards)["comparisons"][
            wildcards.comparison
        ]["models"],
        not_fitted=lambda wildcards: NOT_FITTED[wildcards.study],
        folder=lambda wildcards: f"results/{wildcards.study}/models",
        score=lambda wildcards: rules.score(wildcards.unit),
        seed=lambda wildcards: rules.seed(
            plan_of(wildcards), wildcards.comparison, wildcards.unit
        ),
        code=code.digest("compare_models.py"),
        stack=rules.pins(LOCKED, "numpy", "scipy"),
    script:
        "../scripts/compare_models.py"


rule stack_predictions:
    """
    Predict every observation of {wildcards.study} by the mixture of the models of {wildcards.comparison}.
    """
    input:
        table="results/{study}/comparisons/{comparison}.observation.csv",
        data=data_of_compared,
        posteriors=of_compared("results/{study}/models/{model}/posterior.nc"),
        units=of_compared(
            "results/{study}/models/{model}/scores/loo.observation.parquet"
        ),
    output:
        predictions="results/{study}/comparisons/{comparison}.observation.stacked.parquet",
        record="results/{study}/comparisons/{comparison}.observation.stacked.json",
    log:
        "results/{study}/logs/stack_predictions.{comparison}.log",
    benchmark:
        "results/{study}/benchmarks/stack_predictions.{comparison}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        models=compared_specs,
        folder=lambda wildcards: f"results/{wildcards.study}/models",
        seed=lambda wildcards: rules.seed(
            plan_of(wildcards), wildcards.comparison, "stacked"
        ),
        code=lambda wildcards: code.digest(
            "stack_predictions.py",
            sorted(
                f"multilevel.families.{json.loads(spec)['family']}"
                for spec in compared_specs(wildcards).values()
            ),
        ),
        stack=rules.pins(LOCKED, "numpy", "scipy"),
    script:
        "../scripts/stack_predictions.py"


rule draw_comparison:
    """
    Draw the differences of {wildcards.comparison} in {wildcards.study}, in total and by {wildcards.unit}.
    """
    input:
        data="results/{study}/data.nc",
        table="results/{study}/comparisons/{comparison}.{unit}.csv",
        differences="results/{study}/comparisons/{comparison}.{unit}.differences.parquet",
    output:
        multiext(
            "results/{study}/figures/elpd_differences.{comparison}.{unit}",
            elpd_differences=".svg",
            elpd_differences_png=".png",
            elpd_differences_data=".csv",
        ),
        multiext(
            "results/{study}/figures/pointwise.{comparison}.{unit}",
            pointwise=".svg",
            pointwise_png=".png",
            pointwise_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_comparison.{comparison}.{unit}.log",
    benchmark:
        "results/{study}/benchmarks/draw_comparison.{comparison}.{unit}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=lambda wildcards: rules.labels(
            plan_of(wildcards),
            plan_of(wildcards)["comparisons"][wildcards.comparison]["models"],
        ),
        group=lambda wildcards: (rules.groups(plan_of(wildcards)) or [""])[0],
        unit=left_out_of,
        code=code.digest("draw_comparison.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_comparison.py"


rule draw_data:
    """
    Draw the response of {wildcards.study} by {wildcards.group} and the sizes of its levels.
    """
    input:
        data="results/{study}/data.nc",
    output:
        multiext(
            "results/{study}/figures/data_response_by_group.{group}",
            data_response_by_group=".svg",
            data_response_by_group_png=".png",
            data_response_by_group_data=".csv",
        ),
        multiext(
            "results/{study}/figures/group_sizes.{group}",
            group_sizes=".svg",
            group_sizes_png=".png",
            group_sizes_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_data.{group}.log",
    benchmark:
        "results/{study}/benchmarks/draw_data.{group}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        responses=lambda wildcards: rules.named_responses(plan_of(wildcards)),
        group=group_of,
        code=code.digest("draw_data.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_data.py"


rule draw_models:
    """
    Draw what the models of {wildcards.study} estimate and predict, side by side.
    """
    input:
        diagnostics=of_fitted("results/{study}/models/{model}/diagnostics.json"),
        summaries=of_fitted("results/{study}/models/{model}/summary.csv"),
        checks=of_fitted("results/{study}/models/{model}/checks.csv"),
        quantiles=of_fitted("results/{study}/models/{model}/checks_quantiles.csv"),
        densities=of_fitted("results/{study}/models/{model}/densities.parquet"),
    output:
        multiext(
            "results/{study}/figures/forest",
            forest=".svg",
            forest_png=".png",
            forest_data=".csv",
        ),
        multiext(
            "results/{study}/figures/predictive_density",
            predictive_density=".svg",
            predictive_density_png=".png",
            predictive_density_data=".csv",
        ),
        multiext(
            "results/{study}/figures/predictive_statistics",
            predictive_statistics=".svg",
            predictive_statistics_png=".png",
            predictive_statistics_data=".csv",
        ),
        multiext(
            "results/{study}/figures/predictive_quantiles",
            predictive_quantiles=".svg",
            predictive_quantiles_png=".png",
            predictive_quantiles_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_models.log",
    benchmark:
        "results/{study}/benchmarks/draw_models.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=labels_of_fitted,
        quantities=quantities_of_fitted,
        folder=lambda wildcards: f"results/{wildcards.study}/models",
        code=code.digest("draw_models.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_models.py"


rule draw_groups:
    """
    Draw how well the models of {wildcards.study} predict every level of {wildcards.group}.
    """
    input:
        diagnostics=of_fitted("results/{study}/models/{model}/diagnostics.json"),
        by_group=of_fitted("results/{study}/models/{model}/checks_by_group.csv"),
    output:
        multiext(
            "results/{study}/figures/group_statistics.{group}",
            figure=".svg",
            figure_png=".png",
            figure_data=".csv",
        ),
    log:
        "results/{study}/logs/draw_groups.{group}.log",
    benchmark:
        "results/{study}/benchmarks/draw_groups.{group}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=labels_of_fitted,
        group=group_of,
        quantities=quantities_of_fitted,
        folder=lambda wildcards: f"results/{wildcards.study}/models",
        code=code.digest("draw_groups.py"),
        stack=rules.pins(LOCKED, "matplotlib", "pillow"),
    script:
        "../scripts/draw_groups.py"
