"""SQLAlchemy tables, named queries and migrations; rows become models here and nowhere else."""
