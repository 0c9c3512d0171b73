// Package image holds the image that a release has: what is in it, that the same source makes the same image anywhere, and how
// it runs as a Pod on a real kubelet and containerd.
package image
