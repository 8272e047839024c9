/**
 * The images that upstream's end-to-end suite pulls (test/utils/image/manifest.go), made of Debian's packages and the Go
 * programs of test/images, in a directory for a registry. `node test/conformance/images.ts CACHE SUITE SOURCE`: CACHE has
 * what scripts/conformance.sh unpacked, SUITE/bin what it compiled of SOURCE; the registry's directory is SUITE/registry/data.
 * Every tag of 1.20 and 1.36 is there, whichever of the two the programs are of; a registry that is there gets what it lacks.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { blobsOf, buildImage, busyboxLayer, type BuiltImage, type ImageSpec, type LayerFile } from '../images/build-image.ts'
import { pushImage, startRegistry } from '../images/registry.ts'

interface Image { readonly names: readonly string[]; readonly spec: ImageSpec }

const [cache = '', suite = '', source = ''] = process.argv.slice(2).map((path) => resolve(path))
const UNNEEDED = /^(usr\/share\/(?!misc|nginx|iproute2)|usr\/lib\/x86_64-linux-gnu\/(perl|gconv)|var\/lib\/dpkg|usr\/include)/

/** A directory tree as a layer. */
function tree(dir: string, under = ''): LayerFile[] {
  return readdirSync(join(dir, under), { withFileTypes: true }).flatMap((entry): LayerFile[] => {
    const name = under === '' ? entry.name : `${under}/${entry.name}`
    if (entry.name.startsWith('.done') || UNNEEDED.test(`${name}/`)) return []
    if (entry.isDirectory()) return [{ name, type: 'directory', mode: name === 'tmp' ? 0o1777 : 0o755 }, ...tree(dir, name)]
    if (entry.isSymbolicLink()) return [{ name, type: 'symlink', linkname: readlinkSync(join(dir, name)) }]
    return entry.isFile() ? [{ name, mode: name.includes('bin/') || name.includes('lib') ? 0o755 : 0o644, content: readFileSync(join(dir, name)) }] : []
  })
}

function program(name: string, at: string, mode = 0o755): LayerFile { return { name: at, mode, content: readFileSync(join(suite, 'bin', name)) } }
function directories(...names: string[]): LayerFile[] { return names.map((name) => ({ name, type: 'directory', mode: 0o755 })) }
function script(name: string, ...lines: string[]): LayerFile { return { name, mode: 0o755, content: `#!/bin/sh\n${lines.join('\n')}\n` } }
function sourceFile(path: string, name: string): LayerFile { return { name, content: readFileSync(join(source, path)) } }

const APACHE = [
  'ServerRoot /usr/local/apache2', 'Listen 80', 'ServerName localhost', 'PidFile /run/httpd.pid', 'ErrorLog /proc/self/fd/2', 'LogFormat "%h %l %u %t \\"%r\\" %>s %b" common', 'CustomLog /proc/self/fd/1 common',
  ...['mpm_event', 'authz_core', 'dir', 'mime'].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`), 'TypesConfig /usr/local/apache2/conf/mime.types',
  'DocumentRoot /usr/local/apache2/htdocs', 'DirectoryIndex index.html', '<Directory />', '  Require all granted', '</Directory>', 'User app', 'Group app', '',
].join('\n')
const NGINX = 'daemon off;\nuser root;\npid /run/nginx.pid;\nerror_log /dev/stderr;\nevents {}\nhttp {\n  access_log /dev/stdout;\n  server { listen 80; root /usr/share/nginx/html; }\n}\n'

/** What agnhost's fake registry serves: an image in files, as its prepare_registry.sh lays them out. */
function served(image: BuiltImage, name: string, tag: string): LayerFile[] {
  const at = (kind: string, digest: string) => `var/registry/${name}/${kind}/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`
  const files = blobsOf(image).map(({ digest, bytes }): LayerFile => ({ name: at('blobs', digest), content: bytes }))
  return [...files, { name: at('manifests', image.manifestDigest), content: image.manifest }, { name: `var/registry/${name}/manifests/${tag}`, content: `${image.manifestDigest}\n` }]
}

function images(pause: BuiltImage): Image[] {
  // All that busybox has: the suite uses more of it than our own tests.
  const applets = execFileSync('busybox', ['--list'], { encoding: 'utf8' }).split('\n').filter((name) => name !== '' && name !== 'busybox')
  const usual = busyboxLayer()
  const base = [...usual, ...applets.filter((name) => !usual.some((file) => file.name === `bin/${name}`)).map((name): LayerFile => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })),
    // What the usual busybox has and Debian's lacks.
    script('bin/printenv', '[ $# -gt 0 ] || exec env', `exec awk 'BEGIN { if (!(ARGV[1] in ENVIRON)) exit 1; print ENVIRON[ARGV[1]] }' "$1"`)]
  const tools = [...tree(join(cache, 'tools')), { name: 'bin/nc', type: 'symlink' as const, linkname: 'nc.openbsd' }, { name: 'usr/bin/nc', type: 'symlink' as const, linkname: '/bin/nc.openbsd' }]
  // Of CoreDNS the suite wants `hosts { ADDRESS NAME ... }` of a Corefile; it is not in Debian.
  const coreDns = script('coredns', `awk '/^[ \t]+[0-9a-f.:]+ /{ print $1, $2 }' "$2" > /tmp/coredns.hosts`, 'exec /usr/sbin/dnsmasq --keep-in-foreground --user=root --conf-file= --pid-file= --no-resolv --no-hosts --addn-hosts=/tmp/coredns.hosts --log-facility=-')
  const agnhost = [
    coreDns, program('agnhost', 'agnhost'), { name: 'agnhost-2', type: 'symlink' as const, linkname: 'agnhost' }, ...directories('uploads'),
    sourceFile('test/images/agnhost/porter/localhost.crt', 'localhost.crt'), sourceFile('test/images/agnhost/porter/localhost.key', 'localhost.key'),
    { name: 'etc/os-release', content: 'NAME="Alpine Linux"\nID=alpine\n' },
    { name: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nuser-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n' },
    { name: 'etc/group', content: 'root:x:0:\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n' }, ...served(pause, 'pause', 'testing'),
  ]
  const asAgnhost = { Entrypoint: ['/agnhost'], Cmd: ['pause'] }
  const e2e = (name: string) => [`kubernetes-e2e-test-images/${name}`, `e2e-test-images/${name}`]
  const servesFiles = (what: string) => [...agnhost, sourceFile(`test/images/${what}/html/${what}.jpg`, `${what}.jpg`), sourceFile(`test/images/${what}/html/data.json`, 'data.json')]
  const httpd = [
    ...tree(join(cache, 'httpd')), ...directories('usr/local', 'usr/local/bin', 'usr/local/apache2', 'usr/local/apache2/conf', 'usr/local/apache2/htdocs', 'run'),
    { name: 'usr/local/apache2/conf/httpd.conf', content: APACHE }, { name: 'usr/local/apache2/conf/mime.types', content: 'text/html html\n' },
    { name: 'usr/local/apache2/htdocs/index.html', content: '<html><body><h1>It works!</h1></body></html>\n' },
    script('usr/local/bin/httpd-foreground', 'exec /usr/sbin/apache2 -DFOREGROUND -f /usr/local/apache2/conf/httpd.conf "$@"'),
  ]
  const nginx = [
    ...tree(join(cache, 'nginx')), ...directories('etc/nginx', 'var/log', 'var/log/nginx', 'var/lib', 'var/lib/nginx', 'run', 'usr/share', 'usr/share/nginx', 'usr/share/nginx/html'),
    { name: 'var/run', type: 'symlink' as const, linkname: '/run' }, { name: 'etc/nginx/nginx.conf', content: NGINX }, { name: 'usr/share/nginx/html/index.html', content: '<h1>Welcome to nginx!</h1>\n' },
  ]
  // Tests of block volumes want more of dd than busybox has, whose ash takes its own before any other.
  const dd: LayerFile = { name: 'bin/dd', mode: 0o755, content: readFileSync(join(cache, 'coreutils/bin/dd')) }
  // Tests of nodes ask for the time as `nmeter -d0 %3t`, which Debian's busybox lacks, as its date lacks fractions of a second.
  const nmeter: LayerFile[] = [{ name: 'bin/date-of-coreutils', mode: 0o755, content: readFileSync(join(cache, 'coreutils/bin/date')) }, script('bin/nmeter', 'exec date-of-coreutils -u +%H:%M:%S.%3N')]
  return [
    // The suite wants variables like `data-1` to pass through `sh -c env`, which Debian's ash drops, and otherwise ash's own words.
    { names: e2e('busybox:1.37.0-1'), spec: { layers: [base, tools, [dd, ...nmeter, { name: 'bin/sh', mode: 0o755, content: '#!/bin/bash\n[ "$*" != "-c env" ] || exec busybox env\n[[ "$*" != *oflag=nocache* ]] || exec -a /bin/sh bash "$@"\nexec -a /bin/sh busybox "$@"\n' }]], config: { Cmd: ['sh'] } } },
    ...['1.28', '1.29'].map((tag): Image => ({ names: [`library/busybox:${tag}`], spec: { layers: [base], config: { Cmd: ['sh'], Labels: { version: tag } } } })),
    { names: ['library/busybox:1', 'library/busybox:latest'], spec: { layers: [base], config: { Cmd: ['sh'] } } },
    { names: ['2.21', '2.20', '2.6', '2.53', '2.55', '2.63.0'].flatMap((tag) => e2e(`agnhost:${tag}`)), spec: { layers: [base, tools, agnhost], config: asAgnhost } },
    { names: [...e2e('nonroot:1.0'), ...e2e('nonroot:1.5')], spec: { layers: [base, tools, agnhost], config: { ...asAgnhost, User: '1234' } } },
    { names: [...e2e('nautilus:1.0'), ...e2e('nautilus:1.8')], spec: { layers: [base, tools, servesFiles('nautilus')], config: { Entrypoint: ['/agnhost'], Cmd: ['test-webserver'] } } },
    { names: [...e2e('kitten:1.0'), ...e2e('kitten:1.8')], spec: { layers: [base, tools, servesFiles('kitten')], config: { Entrypoint: ['/agnhost'], Cmd: ['test-webserver'] } } },
    { names: ['pause:3.2', 'pause:3.10', 'pause:3.10.2'], spec: { layers: [[program('pause', 'pause')]], config: { Entrypoint: ['/pause'], User: '65535:65535' } } },
    { names: [...e2e('nonewprivs:1.0'), ...e2e('nonewprivs:1.4')], spec: { layers: [base, [...directories('usr/local', 'usr/local/bin'), program('nnp', 'usr/local/bin/nnp', 0o6755)]], config: { Cmd: ['nnp'] } } },
    { names: ['jessie-dnsutils:1.0', 'ipc-utils:1.0', 'ipc-utils:1.4', 'glibc-dns-testing:2.0.0', 'perl:5.26'].flatMap(e2e), spec: { layers: [base, tools], config: { Cmd: ['sh'] } } },
    { names: ['regression-issue-74839-amd64:1.0', 'regression-issue-74839:1.5'].flatMap(e2e), spec: { layers: [base, [program('regression-issue-74839', 'regression-issue-74839')]], config: { Entrypoint: ['/regression-issue-74839'] } } },
    { names: ['resource-consumer:1.5', 'resource-consumer:1.14'].flatMap(e2e), spec: { layers: [base, [program('consumer', 'consumer'), program('consume-cpu', 'consume-cpu')]], config: { Entrypoint: ['/consumer'] } } },
    ...['2.4.38-alpine', '2.4.39-alpine'].map((tag): Image => ({ names: [`library/httpd:${tag}`], spec: { layers: [base, httpd], config: { Cmd: ['httpd-foreground'], WorkingDir: '/usr/local/apache2', Labels: { version: tag } } } })),
    ...['1.14-alpine', '1.15-alpine', '1.15-4', '1.27-0'].map((tag): Image => ({ names: [`library/nginx:${tag}`, ...e2e(`nginx:${tag}`)], spec: { layers: [base, nginx], config: { Cmd: ['nginx'], StopSignal: 'SIGTERM', Labels: { version: tag } } } })),
    {
      names: ['library/redis:5.0.5-alpine'],
      spec: { layers: [base, tree(join(cache, 'redis'))], config: { Cmd: ['redis-server', '--protected-mode', 'no'] } },
    },
    { names: ['sample-apiserver:1.17', 'sample-apiserver:1.29.2'].flatMap(e2e), spec: { layers: [base, [program('sample-apiserver', 'sample-apiserver')]], config: { Entrypoint: ['/sample-apiserver'] } } },
    // The suite of 1.20 has no source for it.
    ...(existsSync(join(suite, 'bin/sample-device-plugin')) ? [{ names: ['1.3', '1.7', '1.8.0'].flatMap((tag) => e2e(`sample-device-plugin:${tag}`)), spec: { layers: [base, [program('sample-device-plugin', 'sampledeviceplugin')]], config: { Entrypoint: ['/sampledeviceplugin', '-alsologtostderr'] } } }] : []),
    // Of drivers of devices; CSI drivers want more of it.
    ...(existsSync(join(suite, 'bin/hostpathplugin')) ? [{ names: ['sig-storage/hostpathplugin:v1.17.1'], spec: { layers: [base, [program('hostpathplugin', 'hostpathplugin')]], config: { Entrypoint: ['/hostpathplugin'] } } }] : []),
    { names: ['etcd:3.4.13-0', 'etcd:3.6.8-0'], spec: { layers: [base, [...tree(join(cache, 'etcd')), ...directories('usr/local', 'usr/local/bin'), { name: 'usr/local/bin/etcd', type: 'symlink', linkname: '/usr/bin/etcd' }]], config: {} } },
  ]
}

/** Whether the registry's directory has it: a tag is linked after everything else of its image. */
function has(registry: string, name: string): boolean {
  const colon = name.lastIndexOf(':')
  return existsSync(join(registry, 'data/docker/registry/v2/repositories', name.slice(0, colon), '_manifests/tags', name.slice(colon + 1), 'current/link'))
}

if (process.argv.length > 4) {
  const dir = join(suite, 'registry')
  const scratch = `${dir}.${process.pid}`
  try {
    const pause = await buildImage(join(scratch, 'pause'), { layers: [[program('pause', 'pause')]], config: { Entrypoint: ['/pause'], User: '65535:65535' } })
    const lacking = images(pause).map(({ names, spec }) => ({ names: names.filter((name) => !has(dir, name)), spec })).filter(({ names }) => names.length > 0)
    if (lacking.length > 0) {
      const registry = await startRegistry({ dir })
      try {
        for (const { names, spec } of lacking) {
          const image = await buildImage(join(scratch, 'image'), spec)
          rmSync(join(scratch, 'image'), { recursive: true })
          for (const name of names) await pushImage(image, { host: registry.host, repository: name.slice(0, name.lastIndexOf(':')), tag: name.slice(name.lastIndexOf(':') + 1) })
          console.error(`made ${names.join(', ')}`)
        }
      } finally {
        await registry.stop()
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
