resource "aws_eks_addon" "ebs" {
  cluster_name  = module.eks.cluster_name
  addon_name    = "aws-ebs-csi-driver"
  addon_version = "v1.37.0-eksbuild.1"
}

resource "aws_eks_addon" "all" {
  for_each     = var.addons
  cluster_name = module.eks.cluster_name
  addon_name   = each.key
}
