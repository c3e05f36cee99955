"""Jobs beside training: annotation, scoring, fitting, evaluation."""
