"""The Dask process: runs in the scientist's environment, so it needs nothing but Dask and this package."""
