resource "kubernetes_deployment" "web" {
  metadata { name = "prometheus" }
}
