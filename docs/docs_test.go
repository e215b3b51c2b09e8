// Package docs_test holds the book to the code: reasons, make targets, settings, links and paths that it names exist.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pages are all texts of the book, by their path from the root.
func pages(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(path), root+"/"))
		}
	}
	return list
}

// sources calls fn with every Go file of ours that is neither generated nor a test.
func sources(t *testing.T, fn func(path string)) {
	t.Helper()
	for _, folder := range []string{"cmd", "gateway", "internal", "services"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				fn(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

var reasonWord = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// reasonsOf collects the reasons in a file: constants named Reason… and words given to the constructors of errs.
func reasonsOf(file *ast.File) (reasons []string) {
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if word, err := strconv.Unquote(lit.Value); err == nil && reasonWord.MatchString(word) {
				reasons = append(reasons, word)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if strings.HasPrefix(strings.ToLower(name.Name), "reason") && i < len(n.Values) {
					add(n.Values[i])
				}
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := f.X.(*ast.Ident); ok && pkg.Name == "errs" {
					for _, arg := range n.Args[:min(2, len(n.Args))] { // New has the code in front
						add(arg)
					}
				}
			}
		}
		return true
	})
	return reasons
}

func TestEveryReasonIsDocumented(t *testing.T) {
	page := read(t, "docs/errors.md")
	found := 0
	sources(t, func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range reasonsOf(file) {
			found++
			if !strings.Contains(page, "\n| `"+reason+"` | ") {
				t.Errorf("%s: the reason %s has no row in docs/errors.md", path, reason)
			}
		}
	})
	if found < 30 {
		t.Errorf("only %d reasons were found: does this test still understand the code?", found)
	}
}

func TestMakeTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	// In backticks, or a line of its own in a code block.
	named := regexp.MustCompile("(?m)(?:`(?:[A-Z_]+=\\S+ )*make ([a-z][a-z-]*))|(?:^(?:[A-Z_]+=\\S+ )*make ([a-z][a-z-]*) *(?:#.*)?$)")
	for _, page := range pages(t) {
		for _, match := range named.FindAllStringSubmatch(read(t, page), -1) {
			if target := match[1] + match[2]; !strings.Contains(makefile, "\n"+target+":") {
				t.Errorf("%s names `make %s`, which does not exist", page, target)
			}
		}
	}
}

func TestSettingsExist(t *testing.T) {
	var known strings.Builder
	known.WriteString(read(t, "Makefile"))
	sources(t, func(path string) { known.WriteString(read(t, strings.TrimPrefix(path, root))) })
	for _, page := range pages(t) {
		for _, name := range regexp.MustCompile(`\bSTOA_[A-Z_]*[A-Z]\b`).FindAllString(read(t, page), -1) {
			if !strings.Contains(known.String(), name) {
				t.Errorf("%s names %s, which nothing reads", page, name)
			}
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s#]+)(?:#[^)]*)?\)`)
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			target := filepath.Join(filepath.Dir(page), match[1])
			if strings.Contains(match[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, match[1])
			}
		}
	}
}

// Paths in backticks, as long as they are no pattern such as services/<name>.
func TestPathsExist(t *testing.T) {
	path := regexp.MustCompile("`((?:bench|clients|cmd|docs|gateway|gen|internal|proto|scripts|services|tools)/[\\w./-]*)`")
	for _, page := range []string{"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "docs/README.md", "docs/architecture.md"} {
		for _, match := range path.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(root, match[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", page, match[1])
			}
		}
	}
}

func TestDecisionsAreListed(t *testing.T) {
	index := read(t, "docs/README.md")
	var numbers []string
	for _, page := range pages(t) {
		if name, ok := strings.CutPrefix(page, "docs/decisions/"); ok {
			if !strings.Contains(index, "(decisions/"+name+")") {
				t.Errorf("docs/README.md does not list %s", page)
			}
			numbers = append(numbers, name[:min(3, len(name))])
		}
	}
	if slices.Sort(numbers); len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
		t.Errorf("two decisions share a number: %v", numbers)
	}
}
