/** kubeconfig files: what kubectl and every client library read. One cluster, one user, one context, named `default` as k3s does. */
import { writeFileAtomic } from '#base/atomic-file.ts'

export interface Kubeconfig {
  /** `https://127.0.0.1:6443` */
  server: string
  /** PEM. */
  ca: string
  clientCertificate: string
  clientKey: string
}

/** YAML. All values are base64 or a URL, so that nothing needs quoting. */
export function formatKubeconfig(config: Kubeconfig): string {
  const base64 = (pem: string) => Buffer.from(pem, 'utf8').toString('base64')
  return `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: ${base64(config.ca)}
    server: ${config.server}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
preferences: {}
users:
- name: default
  user:
    client-certificate-data: ${base64(config.clientCertificate)}
    client-key-data: ${base64(config.clientKey)}
`
}

/** Replaces the file in one step. `mode` is `--write-kubeconfig-mode`; the file holds the admin's key. */
export async function writeKubeconfig(path: string, config: Kubeconfig, mode = 0o600): Promise<void> {
  await writeFileAtomic(path, formatKubeconfig(config), { mode, directoryMode: 0o755 })
}
