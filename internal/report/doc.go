// Package report writes the results of the commands: tables and text, JSON and YAML, JUnit, SARIF, HTML, and a profile that requires what
// is installed. The JSON and YAML fields are stable.
package report
