/** Upstream's sources with a skiff server in place of the API servers that its integration tests start in their own process. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const overlay = join(import.meta.dirname, 'overlay')
const EXTENSIONS = 'staging/src/k8s.io/apiextensions-apiserver'

/** Which files stand where, by their names in `overlay/`. */
const PLACES: Readonly<Record<string, string>> = {
  'server.go': `${EXTENSIONS}/test/integration/skiff/server.go`,
  'flags.go': `${EXTENSIONS}/test/integration/skiff/flags.go`,
  'definitions-storage.go': `${EXTENSIONS}/test/integration/storage/skiff.go`,
  'apiextensions-testing.go': `${EXTENSIONS}/pkg/cmd/server/testing/testserver.go`,
  'apiserver-testing.go': 'cmd/kube-apiserver/app/testing/testserver.go',
  'framework-server.go': 'test/integration/framework/test_server.go',
  'framework-parts.go': 'test/integration/framework/parts.go',
  'framework-etcd.go': 'test/integration/framework/etcd.go',
}

interface Edit { readonly file: string; readonly from: string; readonly to: string; readonly reason: string }

const EDITS: readonly Edit[] = [
  { file: `${EXTENSIONS}/test/integration/storage/objectreader.go`, from: 'c, err := clientv3.New(cfg)', to: 'c, err := newNoEtcd(cfg)', reason: 'there is no etcd; a test that asks it fails' },
  {
    file: `${EXTENSIONS}/test/integration/storage/objectreader.go`, from: 'timeout time.Duration, updateObjFn func()) error {\n', to: 'timeout time.Duration, updateObjFn func()) error {\n\tif s.etcdClient.KV == clientv3.KV(noEtcd{}) {\n\t\tupdateObjFn()\n\t\treturn nil\n\t}\n',
    reason: 'nobody can look into etcd for the version; skiff writes the new one as soon as its definition says so',
  },
  {
    file: `${EXTENSIONS}/test/integration/fixtures/server.go`, from: '(func(), clientset.Interface, dynamic.Interface, *clientv3.Client, string, error) {\n',
    to: '(func(), clientset.Interface, dynamic.Interface, *clientv3.Client, string, error) {\n\tservertesting.WithEtcd(t)\n', reason: 'there is no etcd to give',
  },
  {
    file: 'test/utils/audit.go', from: 'expectations := newAuditEventTracker(expected)\n\n\tscanner := bufio.NewScanner(stream)', to: 'expectations := newAuditEventTracker(expected)\n\n\ttime.Sleep(1500 * time.Millisecond)\n\tscanner := bufio.NewScanner(stream)',
    reason: 'skiff gathers events for a second before it writes them',
  },
  { file: 'test/utils/audit.go', from: '\t"strings"\n', to: '\t"strings"\n\t"time"\n', reason: 'as before' },
  { file: 'test/integration/auth/rbac_test.go', from: 'opts.Authorization.Modes = []string{"AlwaysDeny"}', to: 'opts.Authorization.Modes = []string{"RBAC"}', reason: 'skiff\'s RBAC is to decide' },
  {
    file: 'test/integration/auth/rbac_test.go', from: 'func newRBACAuthorizer(t *testing.T, config *controlplane.Config) (authorizer.Authorizer, func()) {\n',
    to: 'func newRBACAuthorizer(t *testing.T, config *controlplane.Config) (authorizer.Authorizer, func()) {\n\tif config.ControlPlane.Generic != nil {\n\t\treturn config.ControlPlane.Generic.Authorization.Authorizer, func() {}\n\t}\n',
    reason: 'as before: not upstream\'s, which reads etcd',
  },
  {
    file: 'test/integration/apiserver/oidc/oidc_test.go', from: 'for _, line := range strings.Split(string(body), "\\n") {\n\t\tmatched := false',
    to: 'body = regexp.MustCompile(`apiserver_id_hash="[^"]*"`).ReplaceAll(body, []byte(`apiserver_id_hash="sha256:3c607df3b2bf22c9d9f01d5314b4bbf411c48ef43ff44ff29b1d55b41367c795"`))\n\tfor _, line := range strings.Split(string(body), "\\n") {\n\t\tmatched := false',
    reason: 'skiff has its own name for a server',
  },
  {
    file: 'test/integration/apiserver/oidc/oidc_test.go', from: 'return strings.Contains(metricsStr, expectedConfigHashMetric), nil',
    to: 'return strings.Contains(metricsStr, expectedConfigHashMetric[strings.Index(expectedConfigHashMetric, ",hash="):]), nil', reason: 'as before',
  },
  {
    file: 'test/integration/apiserver/cel/authorizerselector/helper.go', from: 'if gotEnabled, initialized := environment.AuthzSelectorsLibraryEnabled(); !initialized {\n\t\tt.Fatalf("authz selector library was not',
    to: 'if gotEnabled, initialized := featureEnabled, true; !initialized {\n\t\tt.Fatalf("authz selector library was not', reason: 'skiff\'s expressions are not compiled in the test\'s process',
  },
]

/** What `go test -overlay` takes, in a directory of its own below `cache`. */
export function writeOverlay(source: string, cache: string): Written {
  const missing = readdirSync(overlay).filter((name) => PLACES[name] === undefined)
  if (missing.length > 0) throw new Error(`source.ts does not say where ${missing.join(', ')} belongs`)
  const texts = new Map(Object.entries(PLACES).map(([name, place]) => [place, readFileSync(join(overlay, name), 'utf8')]))
  for (const { file, from, to } of EDITS) {
    const text = texts.get(file) ?? readFileSync(join(source, file), 'utf8')
    if (!text.includes(from)) throw new Error(`${file} does not have: ${from}`)
    texts.set(file, text.replaceAll(from, to))
  }
  return writeTexts(source, texts, cache)
}

/** Where an overlay was written: its file, and the directory named after all that it says, which is for nothing else. */
export interface Written { readonly file: string; readonly dir: string }

/** Copies `texts`, by the places below `source` that they stand for: what another tree writes into the same cache changes nothing of it. */
export function writeTexts(source: string, texts: ReadonlyMap<string, string>, cache: string): Written {
  const dir = join(cache, createHash('sha256').update([source, ...[...texts].flat()].join('\n')).digest('hex').slice(0, 12))
  const place = join(dir, 'overlay')
  const file = join(place, 'overlay.json')
  if (existsSync(file)) return { file, dir }
  mkdirSync(dir, { recursive: true })
  // All of it or nothing: another run may want the same.
  const written = mkdtempSync(join(dir, 'overlay-'))
  const replaced = [...texts.keys()].map((name, i): [string, string] => [name, `${i}-${basename(name)}`])
  for (const [name, copy] of replaced) writeFileSync(join(written, copy), texts.get(name) ?? '')
  writeFileSync(join(written, basename(file)), JSON.stringify({ Replace: Object.fromEntries(replaced.map(([name, copy]) => [join(source, name), join(place, copy)])) }))
  try {
    renameSync(written, place)
  } catch (err) {
    rmSync(written, { recursive: true, force: true })
    if (!existsSync(file)) throw err
  }
  return { file, dir }
}
