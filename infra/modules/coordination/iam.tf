# A role per member: it reads its own certificate and etcd's release, nothing of the others.

locals {
  statements = {
    for letter in local.letters : letter => concat(
      [
        {
          Sid      = "ItsCertificate"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = [aws_secretsmanager_secret.member[letter].arn]
        },
        {
          Sid      = "ItsProgram"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = ["${aws_s3_bucket.artifacts.arn}/etcd/*"]
        },
      ],
      var.kms_key_arn == null ? [] : [{
        Sid      = "TheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.kms_key_arn]
      }],
      # These calls of the agent know no resource.
      var.session_manager ? [{
        Sid    = "SessionsOfPeople"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = ["*"]
      }] : [],
    )
  }
}

resource "aws_iam_role" "member" {
  for_each = local.members

  name        = "${var.name}-etcd-${each.key}"
  description = "The machine of etcd-${each.key} of ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "member" {
  for_each = local.members

  name   = "member"
  role   = aws_iam_role.member[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}

resource "aws_iam_instance_profile" "member" {
  for_each = local.members

  name = "${var.name}-etcd-${each.key}"
  role = aws_iam_role.member[each.key].name
}
