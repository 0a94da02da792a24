"""From the study files in config/ to a report for each study in results/."""

from snakemake.utils import min_version

min_version("9.10")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


# The first rule is what runs by default; it stands behind the include that reads the studies.
rule all:
    """
    Every study's fits and report, and the page that lists the reports.
    """
    input:
        fits=posteriors(),
        reports=expand("results/{study}/report.html", study=STUDIES),
        index="results/index.html",


rule replication:
    """
    Every study's published numbers beside ours, without figures and reports.
    """
    input:
        tables=expand("results/{study}/replication.csv", study=STUDIES),


include: "workflow/rules/data.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/check.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/replicate.smk"
include: "workflow/rules/report.smk"
