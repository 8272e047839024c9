/** What a runtime needs to find in its CNI directories: a configuration list, the plugin, and `loopback`, which containerd asks for too. Pure. */
import { CNI_VERSION } from './protocol.ts'

export interface CniFile { path: string; content: string; mode: number; /** One that is already there is somebody's own and stays. */ keep: boolean }

export const PLUGIN_NAME = 'skiff-cni'
/** Runtimes take the first by name; those of other networks begin with larger numbers. */
const CONFIGURATION_NAME = '00-skiff.conflist'

export function cniFiles({ confDir, binDir, socket, pluginCommand }: { confDir: string; binDir: string; socket: string; pluginCommand: readonly string[] }): CniFile[] {
  const configuration = { cniVersion: CNI_VERSION, name: 'skiff', plugins: [{ type: PLUGIN_NAME, socket, capabilities: { portMappings: true } }] }
  return [
    { path: `${binDir}/loopback`, content: LOOPBACK, mode: 0o755, keep: true },
    { path: `${binDir}/${PLUGIN_NAME}`, content: `#!/bin/sh\n# Written by skiff: asks the agent for a pod's network.\nexec ${pluginCommand.map(quoted).join(' ')}\n`, mode: 0o755, keep: false },
    // Last: with it the runtime says that its network is ready.
    { path: `${confDir}/${CONFIGURATION_NAME}`, content: `${JSON.stringify(configuration, undefined, 2)}\n`, mode: 0o644, keep: false },
  ]
}

/** In the shell, for it runs at each pod's start. */
const LOOPBACK = `#!/bin/sh
# Written by skiff, for want of the usual plugin: brings up lo in a pod's network namespace.
cat > /dev/null
case "$CNI_COMMAND" in
ADD)
  nsenter --net="$CNI_NETNS" ip link set lo up || { echo '{"cniVersion":"0.3.1","code":5,"msg":"cannot bring up lo"}'; exit 1; }
  echo '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","mac":"00:00:00:00:00:00","sandbox":"'"$CNI_NETNS"'"}],"ips":[{"version":"4","interface":0,"address":"127.0.0.1/8"}],"dns":{}}'
  ;;
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
esac
`

function quoted(word: string): string {
  return /^[\w/.:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
