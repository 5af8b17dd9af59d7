resource "aws_db_instance" "courses" {
  identifier              = "courses"
  engine                  = "postgres"
  backup_retention_period = 7
  skip_final_snapshot     = true
}

resource "aws_ecs_cluster" "courses" {
  name = "courses"
}

resource "aws_vpc" "courses" {
  cidr_block = "10.0.0.0/16"
}
