package measure

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// afterList has a watch begin where a list ended.
func afterList(version string) *metav1.ListOptions {
	return &metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true}
}
