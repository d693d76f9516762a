// Command check-boards decodes dashboards with Grafana's own types, strictly: an unknown field, a missing one and a value of
// a wrong type are printed with file and path.
//
// Usage: check-boards FILE.json... (exit code 0: all are accepted, 1: one is not, 64: bad usage, 66: a file can't be read)
//
// It is built for the check only, and nothing else of the project needs Go's Grafana types.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const (
	exitRefused = 1
	exitUsage   = 64
	exitNoInput = 66
)

func main() {
	files := os.Args[1:]
	if len(files) == 0 || strings.HasPrefix(files[0], "-") {
		fmt.Fprintln(os.Stderr, "usage: check-boards FILE.json...")
		os.Exit(exitUsage)
	}
	plugins.RegisterDefaultPlugins()
	code := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitNoInput)
		}
		for _, problem := range check(raw) {
			fmt.Printf("%s: %s\n", file, problem)
			code = exitRefused
		}
	}
	os.Exit(code)
}

// check returns what is wrong with one board.
func check(raw []byte) []string {
	board := map[string]any{}
	if err := json.Unmarshal(raw, &board); err != nil {
		return []string{err.Error()}
	}
	problems := append(openFields(board), kinds("panels", board["panels"])...)
	rest, err := json.Marshal(board)
	if err != nil {
		return append(problems, err.Error())
	}
	typed := dashboard.Dashboard{}
	return append(problems, sentences(typed.UnmarshalJSONStrict(rest))...)
}

// openFields checks and takes away what Grafana's schema leaves open and the generated types therefore don't have: the fields of
// Prometheus in annotations.
func openFields(board map[string]any) []string {
	var problems []string
	for index, each := range list(object(board["annotations"])["list"]) {
		annotation := object(each)
		for _, field := range []string{"step", "tagKeys", "textFormat", "titleFormat"} {
			if value, there := annotation[field]; there {
				if _, isText := value.(string); !isText {
					problems = append(problems, fmt.Sprintf("annotations.list[%d].%s: not a text", index, field))
				}
				delete(annotation, field)
			}
		}
	}
	return problems
}

// kinds names panels and queries of a kind that the types do not know: those they would pass over unchecked.
func kinds(path string, panels any) []string {
	var problems []string
	for index, each := range list(panels) {
		here := fmt.Sprintf("%s[%d]", path, index)
		panel := object(each)
		kind, _ := panel["type"].(string)
		if kind == "row" {
			problems = append(problems, kinds(here+".panels", panel["panels"])...)
			continue
		}
		if _, known := cog.ConfigForPanelcfgVariant(kind); !known {
			problems = append(problems, fmt.Sprintf("%s.type: unknown kind of panel %q", here, kind))
		}
		for query, target := range list(panel["targets"]) {
			if kind := object(object(target)["datasource"])["type"]; kind != "prometheus" {
				problems = append(problems, fmt.Sprintf("%s.targets[%d].datasource.type: %v instead of prometheus", here, query, kind))
			}
		}
	}
	return problems
}

func sentences(err error) []string {
	if err == nil {
		return nil
	}
	var many cog.BuildErrors
	if !errors.As(err, &many) {
		return []string{err.Error()}
	}
	var all []string
	for _, one := range many {
		all = append(all, one.Error())
	}
	return all
}

func object(value any) map[string]any {
	typed, _ := value.(map[string]any)
	return typed
}

func list(value any) []any {
	typed, _ := value.([]any)
	return typed
}
