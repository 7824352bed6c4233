"""The offline checks: each module's `check()` yields a sentence for each problem it finds."""
