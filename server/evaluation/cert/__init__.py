"""The CERT insider-threat data set (release 4.2's layout), through the pipeline."""
