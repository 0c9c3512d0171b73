variable "karpenter_version" {
  type    = string
  default = "1.1.0"
}

resource "helm_release" "karpenter" {
  namespace        = "karpenter"
  create_namespace = true
  name             = "karpenter"
  repository       = "oci://public.ecr.aws/karpenter"
  chart            = "karpenter"
  version          = var.karpenter_version

  values = [
    yamlencode({ settings = { clusterName = module.eks.cluster_name } })
  ]
}

resource "helm_release" "this" {
  for_each   = toset(["one", "two"])
  name       = "secrets-${each.key}"
  repository = "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts"
  chart      = "secrets-store-csi-driver"
  version    = "1.4.7"
  namespace  = "kube-system"

  set {
    name  = "syncSecret.enabled"
    value = "true"
  }
}

resource "helm_release" "shop" {
  name  = "shop"
  chart = "${path.module}/charts/shop"
}
