"""What boards, planes and records hold that should hold something else."""
