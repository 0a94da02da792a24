# Scoring.
#
# needs   the posterior of each model; where the future is left out, its data alone
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


rule score_future:
    """
    Score {wildcards.model} of {wildcards.study} by predicting the rows at each {wildcards.time} from those before it: by
    reweighting the draws of a fit to earlier rows, and by fitting anew where that fails.

    How many fits there will be is known only on the way. So they are made in this job, which compiles a model once for all of
    them, and each is kept under models/{wildcards.model}/refits by what decides it: a job that was stopped, or whose
    thresholds changed, makes none of them again.
    """
    input:
        data=scored_data_of,
        times=times_data_of,
    output:
        record="results/{study}/models/{model}/scores/lfo.{time}.json",
        units="results/{study}/models/{model}/scores/lfo.{time}.parquet",
    log:
        "results/{study}/logs/score_future.{model}.{time}.log",
    benchmark:
        "results/{study}/benchmarks/score_future.{model}.{time}.tsv"
    conda:
        "../../envs/fit.yaml"
    threads: lambda wildcards: rules.fit_threads(plan_of(wildcards), wildcards.model)
    resources:
        mem_mb=fit_memory,
        runtime=lambda wildcards: rules.future_runtime(
            plan_of(wildcards), wildcards.model, wildcards.time
        ),
    params:
        identity=identity,
        settings=lambda wildcards: rules.as_json(future_of(wildcards)["settings"]),
        thresholds=lambda wildcards: rules.as_json(plan_of(wildcards)["thresholds"]),
        scored_as=lambda wildcards: rules.as_json(model_of(wildcards).get("scored_as")),
        folder=lambda wildcards: f"results/{wildcards.study}/models/{wildcards.model}/refits/{wildcards.time}",
        fits=lambda wildcards: code.of_modules(
            "multilevel.refits", *rules.refit_modules(model_of(wildcards))
        ),
        code=lambda wildcards: code.digest(
            "score_future.py", rules.refit_modules(model_of(wildcards))
        ),
        stack=rules.pins(
            LOCKED,
            "arviz-stats",
            "numba",
            "numpy",
            "nutpie",
            "pymc",
            "pytensor",
            "scipy",
        ),
    script:
        "../scripts/score_future.py"


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
