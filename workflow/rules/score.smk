# Scoring.
#
# needs   the posterior of each model
# makes   models/<model>/scores/<criterion>.<unit>.json and, for criteria with per-unit values, .parquet
# steps   one job for each model and criterion


rule score_loo:
    """
    Score {wildcards.model} of {wildcards.study} by leaving out one observation at a time.
    """
    input:
        data=scored_data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        record="results/{study}/models/{model}/scores/loo.observation.json",
        units="results/{study}/models/{model}/scores/loo.observation.parquet",
    log:
        "results/{study}/logs/score_loo.{model}.log",
    benchmark:
        "results/{study}/benchmarks/score_loo.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        criterion="loo",
        model=model_params,
        scored_as=lambda wildcards: rules.as_json(model_of(wildcards).get("scored_as")),
        code=lambda wildcards: code.digest(
            "score_model.py",
            [
                "multilevel.scores.loo",
                f"multilevel.families.{model_of(wildcards)['family']}",
            ],
        ),
        stack=rules.pins(LOCKED, "arviz-stats", "numpy", "scipy"),
    script:
        "../scripts/score_model.py"


rule score_groups:
    """
    Score {wildcards.model} of {wildcards.study} by leaving out one {wildcards.unit} at a time, all its rows jointly.
    """
    input:
        data=scored_data_of,
        groups=groups_data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        record="results/{study}/models/{model}/scores/logo.{unit}.json",
        units="results/{study}/models/{model}/scores/logo.{unit}.parquet",
    log:
        "results/{study}/logs/score_groups.{model}.{unit}.log",
    benchmark:
        "results/{study}/benchmarks/score_groups.{model}.{unit}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        model=model_params,
        group=left_out_of,
        scored_as=lambda wildcards: rules.as_json(model_of(wildcards).get("scored_as")),
        code=code_of("score_groups.py", "families"),
        stack=rules.pins(LOCKED, "arviz-stats", "numpy", "scipy"),
    script:
        "../scripts/score_groups.py"


rule score_dic:
    """
    Score {wildcards.model} of {wildcards.study} by the deviance information criterion (given the group effects).
    """
    input:
        data=scored_data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        record="results/{study}/models/{model}/scores/dic.conditional.json",
    log:
        "results/{study}/logs/score_dic.{model}.log",
    benchmark:
        "results/{study}/benchmarks/score_dic.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        criterion="dic",
        model=model_params,
        scored_as=lambda wildcards: rules.as_json(model_of(wildcards).get("scored_as")),
        code=lambda wildcards: code.digest(
            "score_model.py",
            [
                "multilevel.scores.dic",
                f"multilevel.families.{model_of(wildcards)['family']}",
            ],
        ),
        stack=rules.pins(LOCKED, "arviz-stats", "numpy", "scipy"),
    script:
        "../scripts/score_model.py"
