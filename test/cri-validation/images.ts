/** The images that critest pulls (cri-tools, images/ and pkg/validate/consts.go), made of what is installed, in a directory for a registry. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildImage, busyboxLayer, type ImageSpec, type LayerFile } from '../images/build-image.ts'
import { pushImage, startRegistry } from '../images/registry.ts'

/** Which of the hosts in images' names the registry stands for. */
export const MIRRORED = ['registry.k8s.io', 'k8s.gcr.io', 'gcr.io']

interface Image { readonly names: readonly string[]; readonly spec: ImageSpec }

const script = (name: string, ...lines: string[]): LayerFile => ({ name, mode: 0o755, content: `#!/bin/sh\n${lines.join('\n')}\n` })
const directories = (...names: string[]): LayerFile[] => names.map((name) => ({ name, type: 'directory', mode: 0o755 }))

/** One of this machine's, which busybox lacks, with its libraries. */
function program(name: string): LayerFile[] {
  const path = execFileSync('which', [name], { encoding: 'utf8' }).trim()
  const libraries = [...execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '')
  return [path, ...libraries].map((file): LayerFile => ({ name: file === path ? `bin/${name}` : file.slice(1), mode: 0o755, content: readFileSync(realpathSync(file)) }))
}

/** Answers on the port, under the name of another server: the suite looks for its process, its pid file and its page. */
function webServer(name: string, port: number, ...before: string[]): LayerFile[] {
  return [...directories('run', 'usr/local', 'usr/local/bin'), { name: 'var/run', type: 'symlink', linkname: '/run' }, script(`usr/local/bin/${name}`, ...before, 'trap "exit 0" TERM QUIT', `httpd -f -p ${port} -h /var/www & wait`)]
}

function images(noNewPrivileges: Buffer): Image[] {
  const users = (passwd: string, group: string): LayerFile[] => [{ name: 'etc/passwd', content: `root:x:0:0:root:/root:/bin/sh\n${passwd}` }, { name: 'etc/group', content: `root:x:0:\n${group}` }]
  // All that busybox has, as hard links, and a user it comes with: the suite masks an applet, and uses more of them than our own tests.
  const usual = busyboxLayer()
  const applets = execFileSync('busybox', ['--list'], { encoding: 'utf8' }).split('\n').filter((name) => name !== '' && !usual.some((file) => file.name === `bin/${name}`))
  const base = [...usual.filter(({ name }) => name !== 'etc/passwd' && name !== 'etc/group').map((file): LayerFile => (file.linkname === 'busybox' ? { ...file, type: 'link', linkname: 'bin/busybox' } : file)), ...users('nobody:x:65534:65534:nobody:/home:/bin/false\n', 'nobody:x:65534:\n'), ...applets.map((name): LayerFile => ({ name: `bin/${name}`, type: 'link', linkname: 'bin/busybox' })), ...program('ipcs'), ...program('pgrep')]
  const named = users('www-data:x:33:33::/var/www:/bin/sh\n', 'www-data:x:33:\n')
  const e2e = (name: string) => `e2e-test-images/${name}`
  const own = (name: string) => `k8s-staging-cri-tools/${name}`
  const busybox = (names: string[], config: ImageSpec['config'] = {}, files: LayerFile[] = []): Image => ({ names, spec: { layers: files.length > 0 ? [base, files] : [base], config: { Cmd: ['sh'], ...config } } })
  // Others, if only by a label, are other images.
  const another = (...names: string[]): Image => busybox(names.map(own), { Labels: { name: names[0] ?? '' } })
  const nginx = (port: number) => webServer('nginx', port, 'echo $$ > /run/nginx.pid')
  return [
    busybox([e2e('busybox:1.29-2')]),
    busybox([e2e('nginx:1.14-2')], { Cmd: ['nginx', 'master process'] }, nginx(80)),
    busybox([own('hostnet-nginx-amd64:latest')], { Cmd: ['nginx'] }, nginx(12003)),
    busybox([e2e('httpd:2.4.39-4')], { Cmd: ['httpd-foreground'] }, webServer('httpd-foreground', 80, 'echo httpd: resuming normal operations')),
    busybox([e2e('nonewprivs:1.3')], { Cmd: ['nnp'] }, [...directories('usr/local', 'usr/local/bin'), { name: 'usr/local/bin/nnp', mode: 0o4755, content: noNewPrivileges }]),
    busybox(['pause:3.9'], { Entrypoint: ['sleep', '2147483647'] }),
    busybox([own('test-image-user-uid:latest')], { User: '1002' }),
    busybox([own('test-image-user-uid-group:latest')], { User: '1003:users' }, users('', 'users:x:100:\n')),
    busybox([own('test-image-user-username:latest')], { User: 'www-data' }, named),
    busybox([own('test-image-user-username-group:latest')], { User: 'www-data:100' }, named),
    busybox([own('test-image-predefined-group:latest')], { User: '1000' }, users('default-user:x:1000:1000::/home/default-user:/bin/sh\n', 'default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n')),
    another('test-image-latest:latest'),
    another('test-image-tag:test'), another('test-image-tag:all'), another('test-image-digest:latest'),
    another('test-image-1:latest'), another('test-image-2:latest'), another('test-image-3:latest'),
    another('test-image-tags:1', 'test-image-tags:2', 'test-image-tags:3'),
  ]
}

/** Made once. Returns the directory for a registry's `filesystem.rootdirectory`. */
export async function registryWithCritestImages(cache: string): Promise<string> {
  const ready = join(cache, 'registry')
  if (existsSync(ready)) return join(ready, 'data')
  const fresh = `${ready}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  const program = join(fresh, 'nonewprivs')
  execFileSync('gcc', ['-static', '-Os', '-s', '-o', program, join(import.meta.dirname, 'nonewprivs.c')])
  const registry = await startRegistry({ dir: fresh })
  try {
    for (const { names, spec } of images(readFileSync(program))) {
      const image = await buildImage(join(fresh, 'image'), spec)
      rmSync(join(fresh, 'image'), { recursive: true })
      for (const name of names) await pushImage(image, { host: registry.host, repository: name.slice(0, name.lastIndexOf(':')), tag: name.slice(name.lastIndexOf(':') + 1) })
    }
  } finally {
    await registry.stop()
  }
  renameSync(fresh, ready)
  return join(ready, 'data')
}
