"""The language server: what editors are told about solvers and nets while they are written (extra `server`)."""
