"""Measurements, each against its reference, interleaved in one run: on a shared machine only ratios count."""
