/**
 * Builds dist/skiff-linux-<arch>, a Node single executable with everything in it, and links dist/skiff to this
 * machine's: esbuild bundles to one CommonJS file (facts: an ESM bundle costs 16 MB of memory), native addons become
 * assets. `node scripts/build.ts [x64|arm64] [DIRECTORY]` (default: this machine's, dist); prints the sizes.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build as bundleFiles, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')
const dist = process.argv[3] === undefined ? join(root, 'dist') : resolve(process.argv[3])
const arch = process.argv[2] ?? process.arch
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
/** Node of the other architecture: npm brings only this machine's. */
const otherNode = join(root, `node_modules/.cache/node-linux-${arch}-${process.versions.node}`)

/**
 * Measured on the API server under load: a larger young generation and no --optimize-for-size take two thirds of the CPU
 * time; what that costs in memory is given back at rest (server/cli/memory.ts, which needs gc). The old generation is
 * collected when it has grown by half, not when it is several times what it was: a third less memory under load for a tenth more time.
 */
const V8_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=50', '--expose-gc']

/** What the addon packages use to find their .node file is replaced by our loader of assets. */
const nativeAddons: Plugin = {
  name: 'native-addons',
  setup(build) {
    build.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: 'classic-level', namespace: 'addon' }))
    build.onLoad({ filter: /.*/, namespace: 'addon' }, () => ({
      contents: `const { loadNativeAddon } = require('./server/cli/native-addon.ts'); module.exports = () => loadNativeAddon('classic-level.node')`,
      resolveDir: root,
    }))
    build.onLoad({ filter: /node-pty\/lib\/utils\.js$/ }, () => ({
      contents: `const { loadNativeAddon } = require('./server/cli/native-addon.ts'); exports.assign = Object.assign; exports.loadNativeModule = (name) => ({ dir: '', module: loadNativeAddon(name + '.node') })`,
      resolveDir: root,
    }))
  },
}

function gitCommit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown' // built from a tarball, without git
  }
}

mkdirSync(dist, { recursive: true })
const bundle = join(dist, 'skiff.cjs')
await bundleFiles({
  entryPoints: [join(root, 'server/main.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'cjs',
  minify: true,
  // Not keepNames: it defines a property on each closure when it is made, 256 bytes and a slow call each. The map, which is not shipped, reads a stack.
  sourcemap: 'external',
  sourcesContent: false,
  legalComments: 'none',
  // As require(): an import() of node:http reads all its exports, one of which loads undici (3 MB, and 50 ms of the start).
  supported: { 'dynamic-import': false },
  plugins: [nativeAddons],
  define: { 'import.meta.main': 'true', SKIFF_VERSION: JSON.stringify(version), SKIFF_COMMIT: JSON.stringify(gitCommit()) },
  logLevel: 'warning',
})

// esbuild leaves regular expressions as they are written; one letter of them beyond Latin-1, and V8 keeps the whole source at two bytes each.
writeFileSync(bundle, readFileSync(bundle, 'utf8').replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`))

/** Node ships with symbols: a third of the file, of no use on a board. */
function stripped(executable: string): string {
  const copy = join(dist, `node-${arch}`)
  copyFileSync(executable, copy)
  try {
    execFileSync(arch === process.arch ? 'strip' : 'aarch64-linux-gnu-strip', [copy], { stdio: 'ignore' })
  } catch {
    console.log(`not stripped: binutils for ${arch} are not installed; the binary is larger, otherwise the same`)
  }
  return copy
}

/** `classic-level.node`, or where there is one for each C library (or version of ARM) the one for glibc. */
function glibcAddon(directory: string): string {
  const name = readdirSync(directory).find((file) => file.endsWith('.node') && !file.includes('musl'))
  if (name === undefined) throw new Error(`no addon for glibc in ${directory}`)
  return join(directory, name)
}

/** node-pty comes as source: for another architecture it is compiled here, with the flags of its binding.gyp. */
function crossCompiledPty(): string {
  const output = join(dist, `pty-${arch}.node`)
  const include = [join(otherNode, 'include/node'), join(root, 'node_modules/node-addon-api')].map((path) => `-I${path}`)
  try {
    execFileSync('aarch64-linux-gnu-g++', ['-shared', '-fPIC', '-O2', '-s', '-std=c++20', '-DNAPI_CPP_EXCEPTIONS', ...include, join(root, 'node_modules/node-pty/src/unix/pty.cc'), '-o', output, '-lutil'], { stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    throw new Error(`cannot compile node-pty for ${arch}: apt-get install g++-aarch64-linux-gnu brings the compiler`, { cause: error })
  }
  return output
}

const node = arch === process.arch ? process.execPath : join(otherNode, 'bin/node')
if (!existsSync(node)) throw new Error(`no Node for ${arch} in ${otherNode}: scripts/guest-test.sh --${arch} puts it there`)
const output = join(dist, `skiff-linux-${arch}`)
const config = join(dist, 'sea-config.json')
writeFileSync(config, JSON.stringify({
  main: bundle,
  mainFormat: 'commonjs',
  output,
  executable: stripped(node),
  disableExperimentalSEAWarning: true,
  useCodeCache: arch === process.arch,
  useSnapshot: false,
  execArgv: [...V8_FLAGS, '--disable-warning=ExperimentalWarning'],
  execArgvExtension: 'none',
  assets: {
    'classic-level.node': glibcAddon(join(root, `node_modules/classic-level/prebuilds/linux-${arch}`)),
    'pty.node': arch === process.arch ? join(root, 'node_modules/node-pty/build/Release/pty.node') : crossCompiledPty(),
  },
}, null, 2))
rmSync(output, { force: true })
// The code cache is only good for the flags it was made with.
execFileSync(process.execPath, [...V8_FLAGS, '--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] })
rmSync(join(dist, `node-${arch}`))
if (arch === process.arch) {
  rmSync(join(dist, 'skiff'), { force: true })
  symlinkSync(`skiff-linux-${arch}`, join(dist, 'skiff'))
}
console.log(`${output}: ${(statSync(output).size / 1e6).toFixed(1)} MB, bundle ${(statSync(bundle).size / 1e6).toFixed(2)} MB`)
