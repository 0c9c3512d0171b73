package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/internal/report"
)

var comparisonFormats = formats[report.Comparison]{
	{"table", func(w io.Writer, c report.Comparison) error {
		return c.WriteTable(w, report.TableOptions{Colour: useColours(w)})
	}},
	{"json", writeJSON[report.Comparison]},
	{"yaml", writeYAML[report.Comparison]},
}

// compare writes what changed since the inventory in a file, or compared with the cluster of a context.
func (in *input) compare(ctx context.Context, output, file, contextName string) error {
	write, err := comparisonFormats.writer(output)
	if err != nil {
		return err
	}
	before, err := in.readEarlier(ctx, file, contextName)
	if err != nil {
		return err
	}
	snapshot, _, err := in.takeSnapshot(ctx)
	if err != nil {
		return err
	}
	return write(in.streams.Out, report.NewDiscovery(snapshot).Compare(before))
}

// readEarlier returns the Discovery to compare with: the saved output of discover in JSON or YAML, or what is in manifests or a dump, or in
// the cluster of a context.
func (in *input) readEarlier(ctx context.Context, file, contextName string) (report.Discovery, error) {
	earlier := &input{flags: in.flags, streams: in.streams, from: file, at: in.at, strict: in.strict}
	if contextName != "" {
		earlier.flags = withContext(in.flags, contextName)
	} else if saved, ok := readSaved(file); ok {
		return saved, nil
	}
	snapshot, _, err := earlier.takeSnapshot(ctx)
	if err != nil {
		return report.Discovery{}, fmt.Errorf("reading what to compare with: %w", err)
	}
	return report.NewDiscovery(snapshot), nil
}

// withContext returns flags for another context. The struct itself has locks and is not copied.
func withContext(f *genericclioptions.ConfigFlags, contextName string) *genericclioptions.ConfigFlags {
	return &genericclioptions.ConfigFlags{
		Context: &contextName, CacheDir: f.CacheDir, KubeConfig: f.KubeConfig, ClusterName: f.ClusterName, AuthInfoName: f.AuthInfoName,
		Namespace: f.Namespace, APIServer: f.APIServer, TLSServerName: f.TLSServerName, Insecure: f.Insecure, CertFile: f.CertFile,
		KeyFile: f.KeyFile, CAFile: f.CAFile, BearerToken: f.BearerToken, Impersonate: f.Impersonate, ImpersonateUID: f.ImpersonateUID,
		ImpersonateGroup: f.ImpersonateGroup, ImpersonateUserExtra: f.ImpersonateUserExtra, Username: f.Username, Password: f.Password,
		Timeout: f.Timeout, DisableCompression: f.DisableCompression, ProxyURL: f.ProxyURL, WrapConfigFn: f.WrapConfigFn,
	}
}

// readSaved reads the saved output of discover; false if the file is something else.
func readSaved(path string) (report.Discovery, bool) {
	var saved report.Discovery
	data, err := os.ReadFile(path)
	if err != nil {
		return saved, false
	}
	if data, err = yaml.YAMLToJSON(data); err != nil {
		return saved, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return saved, decoder.Decode(&saved) == nil && saved.Components != nil
}
