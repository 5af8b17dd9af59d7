"""The APIs through which a principal acts: files, HTTP, SQL, S3."""
