"""Studies of many trainings and measurements: a plan of jobs, the paper's tables and figures."""
