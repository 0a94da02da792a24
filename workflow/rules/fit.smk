# Fitting.
#
# needs   results/<study>/data.nc and, for each model, its formula, family and priors
# makes   models/<model>/posterior.nc, fit.json, timings.json; diagnostics.json and summary.csv; priors.json, prior_predictive.json, equations.json
# steps   fit (one job for all chains), check convergence, describe the model


# Snakemake removes what a job made before as the job starts; the draws of a fit keep a second name until the run went
# well. (Not `update()`: after a failed job it restores the old files and records them as made with the new parameters, so
# the next run would take the draws of another model for this one's.)
onstart:
    rules.keep_previous(posteriors())


onsuccess:
    rules.drop_previous(posteriors())


rule fit_model:
    """
    Fit {wildcards.model} of {wildcards.study}, all chains in one job: sampled with nutpie, from a model that PyMC builds or,
    where the effects can be integrated out, from their closed form.

    A new attempt, where the profile allows one, gets twice the memory. The rule itself retries nothing: a fit is
    deterministic, so what failed once on this machine fails again.
    """
    input:
        data=data_of,
    output:
        posterior="results/{study}/models/{model}/posterior.nc",
        record="results/{study}/models/{model}/fit.json",
        timings="results/{study}/models/{model}/timings.json",
    log:
        "results/{study}/logs/fit_model.{model}.log",
    benchmark:
        "results/{study}/benchmarks/fit_model.{model}.tsv"
    conda:
        "../../envs/fit.yaml"
    threads: lambda wildcards: rules.fit_threads(plan_of(wildcards), wildcards.model)
    resources:
        mem_mb=fit_memory,
        runtime=lambda wildcards: rules.fit_runtime(plan_of(wildcards), wildcards.model),
    params:
        identity=identity,
        code=lambda wildcards: code.digest(
            "fit_model.py", rules.fit_modules(model_of(wildcards))
        ),
    script:
        "../scripts/fit_model.py"


rule diagnose_fit:
    """
    Check the convergence of {wildcards.model} of {wildcards.study} and summarise its posterior.
    """
    input:
        data=data_of,
        posterior="results/{study}/models/{model}/posterior.nc",
    output:
        diagnostics="results/{study}/models/{model}/diagnostics.json",
        summary="results/{study}/models/{model}/summary.csv",
    log:
        "results/{study}/logs/diagnose_fit.{model}.log",
    benchmark:
        "results/{study}/benchmarks/diagnose_fit.{model}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        model=model_params,
        thresholds=lambda wildcards: rules.as_json(plan_of(wildcards)["thresholds"]),
        stop=lambda wildcards: plan_of(wildcards)["on_failure"] == "stop",
        code=code.digest("diagnose_fit.py"),
        stack=rules.pins(LOCKED, "arviz-stats", "numpy", "scipy"),
    script:
        "../scripts/diagnose_fit.py"


rule describe_model:
    """
    Write priors, their predictive distribution and equations of {wildcards.model} of {wildcards.study}, before it is fitted.
    """
    input:
        data=data_of,
    output:
        priors="results/{study}/models/{model}/priors.json",
        prediction="results/{study}/models/{model}/prior_predictive.json",
        equations="results/{study}/models/{model}/equations.json",
    log:
        "results/{study}/logs/describe_model.{model}.log",
    benchmark:
        "results/{study}/benchmarks/describe_model.{model}.tsv"
    priority: 10
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        model=model_params,
        seed=lambda wildcards: model_of(wildcards)["seed"],
        fingerprint=lambda wildcards: model_of(wildcards)["fingerprint"],
        code=code_of("describe_model.py", "families"),
    script:
        "../scripts/describe_model.py"
