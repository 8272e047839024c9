/** The flags of every verb: users, scripts and tests rely on these names and defaults. */
import { suiteProblem } from '#base/tls-suites.ts'
import { atLeastOne, cgroup, cidrs, directory, domain, duration, etcdEndpoints, etcdPrefix, goawayChance, hostOrIp, httpsUri, ip, label, nodeName, octalMode, oneOf, port, positiveDuration, runtimeHandler, s3Endpoint, snapshotPrefix, taint, url } from './flag-checks.ts'
import type { Flag } from './flags.ts'
import { KUBELET_FLAGS } from './kubelet-flags.ts'

const COMMON: readonly Flag[] = [
  { name: 'config', kind: 'string', value: 'FILE', help: 'YAML file with the same names as these flags (default /etc/skiff/config.yaml where it exists)' },
  { name: 'data-dir', kind: 'string', value: 'DIR', default: '/var/lib/skiff', help: 'where everything is kept', check: directory },
  { name: 'log-format', kind: 'string', value: 'text|json', help: 'one line per event; default text on a terminal, else json', check: oneOf('text', 'json') },
  { name: 'log-level', kind: 'string', value: 'LEVEL', default: 'info', help: 'debug, info, warn or error', check: oneOf('debug', 'info', 'warn', 'error') },
  { name: 'token', kind: 'string', value: 'TOKEN', help: 'secret that joins servers and agents to the cluster', isSecret: true },
]

const FLASH: Flag = { name: 'flash-profile', kind: 'string', value: 'normal|gentle', default: 'normal', help: 'gentle: write to the disk more seldom, for more memory and longer starts; nothing acknowledged waits', check: oneOf('normal', 'gentle') }

const NODE: readonly Flag[] = [
  FLASH,
  { name: 'node-name', kind: 'string', value: 'NAME', help: 'name of this node (default: the host name)', check: nodeName },
  { name: 'node-ip', kind: 'string', value: 'IP', help: 'address other nodes reach this one by (default: that of the default route)', check: ip },
  { name: 'node-label', kind: 'list', value: 'KEY=VALUE', help: 'label set when the node registers; may be repeated', check: label },
  { name: 'node-taint', kind: 'list', value: 'KEY=VALUE:EFFECT', help: 'taint set when the node registers; may be repeated', check: taint },
  { name: 'overlay', kind: 'string', value: 'vxlan|host-gw|none', default: 'vxlan', help: 'how pods on different nodes reach each other', check: oneOf('vxlan', 'host-gw', 'none') },
  { name: 'container-runtime-endpoint', kind: 'string', value: 'SOCKET', default: '', help: 'CRI socket of another runtime (default: the embedded one)' },
  { name: 'oci-runtime', kind: 'string', value: 'runc|crun', default: 'runc', help: 'OCI runtime of the embedded runtime', check: oneOf('runc', 'crun') },
  { name: 'runtime-handler', kind: 'list', value: 'NAME=PROGRAM', help: 'what a RuntimeClass may name besides that one: NAME=crun, or the path of a runc or crun; may be repeated', check: runtimeHandler },
  { name: 'state-dir', kind: 'string', value: 'DIR', default: '/run/skiff', help: 'runtime state that need not survive a reboot' },
  { name: 'root-dir', kind: 'string', value: 'DIR', default: '', help: 'pods\' files and plugins\' sockets (default: /var/lib/kubelet; with another --data-dir, <data-dir>/agent)', check: directory },
  { name: 'cgroup-root', kind: 'string', value: 'PATH', default: '', help: 'cgroup below which pods are put, e.g. /lab1', check: cgroup },
  { name: 'kubelet-config', kind: 'string', value: 'FILE', help: 'a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) to take settings from that neither a flag nor the config file names' },
  ...KUBELET_FLAGS,
]

/** Limits of the API server; names and defaults are kube-apiserver's. */
const LOAD: readonly Flag[] = [
  { name: 'enable-priority-and-fairness', kind: 'boolean', default: true, help: 'share the server fairly by flow schemas and priority levels' },
  { name: 'max-requests-inflight', kind: 'number', value: 'N', default: 400, help: 'reading requests at once; with the next one, the seats that are shared' },
  { name: 'max-mutating-requests-inflight', kind: 'number', value: 'N', default: 200, help: 'writing requests at once' },
  { name: 'request-timeout', kind: 'string', value: 'DURATION', default: '1m', help: 'longest time for a request that is no watch', check: positiveDuration },
  { name: 'min-request-timeout', kind: 'number', value: 'SECONDS', default: 1800, help: 'shortest life of a watch that names none', check: atLeastOne },
  { name: 'http2-max-streams-per-connection', kind: 'number', value: 'N', default: 0, help: 'requests at once on one connection; 0 for 250' },
  { name: 'profiling', kind: 'boolean', default: true, help: 'serve /debug/pprof to administrators' },
  { name: 'goaway-chance', kind: 'string', value: 'FRACTION', default: '0', help: 'of requests over HTTP/2 after which the client is to connect anew, up to .02', check: goawayChance },
]

const ADMISSION: readonly Flag[] = [
  { name: 'enable-admission-plugins', kind: 'list', value: 'NAMES', help: 'admission plugins besides those that are on by default' },
  { name: 'disable-admission-plugins', kind: 'list', value: 'NAMES', help: 'admission plugins to turn off' },
  { name: 'default-not-ready-toleration-seconds', kind: 'number', value: 'SECONDS', default: 300, help: 'how long pods that say nothing stay on a node that is not ready' },
  { name: 'default-unreachable-toleration-seconds', kind: 'number', value: 'SECONDS', default: 300, help: 'how long they stay on one that cannot be reached' },
  { name: 'admission-control-config-file', kind: 'string', value: 'PATH', help: 'what admission plugins are configured with (AdmissionConfiguration)' },
]

const ENCRYPTION: readonly Flag[] = [
  { name: 'secrets-encryption', kind: 'boolean', default: false, help: 'encrypt Secrets at rest with a key that skiff makes' },
  { name: 'encryption-provider-config', kind: 'string', value: 'FILE', help: 'EncryptionConfiguration: what is encrypted at rest, and how' },
  { name: 'encryption-provider-config-automatic-reload', kind: 'boolean', default: false, help: 'follow changes of that file' },
]

const AUDIT: readonly Flag[] = [
  { name: 'audit-policy-file', kind: 'string', value: 'FILE', help: 'Policy of audit.k8s.io: which requests are noted, and how fully' },
  { name: 'audit-log-path', kind: 'string', value: 'FILE', help: 'where audit events are logged; - for standard output' },
  { name: 'audit-log-format', kind: 'string', value: 'json|legacy', default: 'json', help: 'form of a line there', check: oneOf('json', 'legacy') },
  { name: 'audit-log-maxage', kind: 'number', value: 'DAYS', default: 0, help: 'how long rotated audit logs are kept; 0 for ever' },
  { name: 'audit-log-maxbackup', kind: 'number', value: 'N', default: 0, help: 'how many rotated audit logs are kept; 0 for all' },
  { name: 'audit-log-maxsize', kind: 'number', value: 'MB', default: 0, help: 'size at which the audit log is rotated; 0 for 100' },
  { name: 'audit-log-compress', kind: 'boolean', default: false, help: 'compress rotated audit logs' },
  { name: 'audit-webhook-config-file', kind: 'string', value: 'FILE', help: 'kubeconfig of a server that gets audit events' },
  { name: 'audit-webhook-initial-backoff', kind: 'string', value: 'DURATION', default: '10s', help: 'wait before it is tried again for the first time', check: duration },
  { name: 'audit-webhook-mode', kind: 'string', value: 'batch', default: 'batch', help: 'how they are sent', check: oneOf('batch') },
  { name: 'audit-webhook-batch-buffer-size', kind: 'number', value: 'N', default: 10000, help: 'events that wait at most; more are dropped and counted', check: atLeastOne },
  { name: 'audit-webhook-batch-max-size', kind: 'number', value: 'N', default: 400, help: 'events in a batch at most', check: atLeastOne },
  { name: 'audit-webhook-batch-max-wait', kind: 'string', value: 'DURATION', default: '30s', help: 'longest wait for a batch that is not full', check: positiveDuration },
  { name: 'audit-webhook-batch-throttle-enable', kind: 'boolean', default: true, help: 'send no more than so many batches a second' },
  { name: 'audit-webhook-batch-throttle-qps', kind: 'number', value: 'N', default: 10, help: 'batches a second', check: atLeastOne },
  { name: 'audit-webhook-batch-throttle-burst', kind: 'number', value: 'N', default: 15, help: 'batches at once after a pause', check: atLeastOne },
]

/** Who is believed; names and defaults are kube-apiserver's. */
const AUTHENTICATION: readonly Flag[] = [
  { name: 'anonymous-auth', kind: 'boolean', default: true, help: 'let requests without credentials in as system:anonymous, who may do next to nothing' },
  { name: 'client-ca-file', kind: 'string', value: 'FILE', help: 'further authorities whose client certificates make users; changes are followed' },
  { name: 'token-auth-file', kind: 'string', value: 'FILE', help: 'static bearer tokens: CSV of token, user, uid, "group1,group2"' },
  { name: 'authentication-config', kind: 'string', value: 'FILE', help: 'AuthenticationConfiguration: issuers whose JWTs are believed; changes are followed' },
  { name: 'oidc-issuer-url', kind: 'string', value: 'URL', help: 'OpenID Connect issuer whose ID tokens are believed' },
  { name: 'oidc-client-id', kind: 'string', value: 'ID', help: 'whom its tokens must be meant for' },
  { name: 'oidc-username-claim', kind: 'string', value: 'CLAIM', help: 'claim that is the user name (default sub)' },
  { name: 'oidc-username-prefix', kind: 'string', value: 'PREFIX', help: 'what is put before it; - for nothing (default: the issuer and #, but for email)' },
  { name: 'oidc-groups-claim', kind: 'string', value: 'CLAIM', help: 'claim that holds the groups' },
  { name: 'oidc-groups-prefix', kind: 'string', value: 'PREFIX', help: 'what is put before them' },
  { name: 'oidc-required-claim', kind: 'list', value: 'CLAIM=VALUE', help: 'what a token must say; may be repeated' },
  { name: 'oidc-signing-algs', kind: 'list', value: 'ALGS', help: 'signatures that are accepted (default RS256)' },
  { name: 'oidc-ca-file', kind: 'string', value: 'FILE', help: 'authority of the issuer\'s certificate (default: those of the system)' },
  { name: 'authentication-token-webhook-config-file', kind: 'string', value: 'FILE', help: 'kubeconfig of a server that is asked whose bearer tokens are (TokenReview)' },
  { name: 'authentication-token-webhook-version', kind: 'string', value: 'v1|v1beta1', default: 'v1beta1', help: 'version of TokenReview it is asked in', check: oneOf('v1', 'v1beta1') },
  { name: 'authentication-token-webhook-cache-ttl', kind: 'string', value: 'DURATION', default: '2m', help: 'how long its answers are kept', check: duration },
  { name: 'requestheader-client-ca-file', kind: 'string', value: 'FILE', help: 'authority of proxies that authenticate users and say in headers who they are' },
  { name: 'requestheader-allowed-names', kind: 'list', value: 'NAMES', help: 'common names of their certificates (default: any that the authority signed)' },
  { name: 'requestheader-username-headers', kind: 'list', value: 'NAMES', help: 'headers with the user (default X-Remote-User)' },
  { name: 'requestheader-uid-headers', kind: 'list', value: 'NAMES', help: 'headers with the uid (default: none)' },
  { name: 'requestheader-group-headers', kind: 'list', value: 'NAMES', help: 'headers with groups (default X-Remote-Group)' },
  { name: 'requestheader-extra-headers-prefix', kind: 'list', value: 'PREFIXES', help: 'what headers with anything else begin with (default X-Remote-Extra-)' },
  { name: 'service-account-key-file', kind: 'list', value: 'FILE', help: 'keys, public or private, whose service account tokens are taken, besides the signing one; may be repeated' },
  { name: 'service-account-signing-key-file', kind: 'string', value: 'FILE', help: 'private key that signs service account tokens (default: one that skiff makes)' },
  { name: 'api-audiences', kind: 'list', value: 'NAMES', help: 'whom service account tokens must be meant for (default: the issuer)' },
  { name: 'service-account-jwks-uri', kind: 'string', value: 'URL', help: 'where the discovery document of the issuer says that the keys are (default: below the issuer)', check: httpsUri },
  { name: 'service-account-issuer', kind: 'list', value: 'URL', help: 'issuer of service account tokens; of several the first signs, all are taken' },
  { name: 'service-account-max-token-expiration', kind: 'string', value: 'DURATION', default: '0', help: 'longest life of a service account token, 1h or more; 0 for any', check: duration },
  { name: 'service-account-extend-token-expiration', kind: 'boolean', default: true, help: 'let the tokens of pods live a year, for clients that never read them again' },
]

/** Who may; names and defaults are kube-apiserver's. */
const AUTHORIZATION: readonly Flag[] = [
  { name: 'authorization-mode', kind: 'list', value: 'MODES', help: 'who is asked, in order: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny (default Node,RBAC)' },
  { name: 'authorization-config', kind: 'string', value: 'FILE', help: 'AuthorizationConfiguration: the same, with webhooks; changes are followed' },
  { name: 'authorization-webhook-config-file', kind: 'string', value: 'FILE', help: 'kubeconfig of a server that is asked in mode Webhook (SubjectAccessReview)' },
  { name: 'authorization-webhook-version', kind: 'string', value: 'v1|v1beta1', default: 'v1beta1', help: 'version of SubjectAccessReview it is asked in', check: oneOf('v1', 'v1beta1') },
  { name: 'authorization-webhook-cache-authorized-ttl', kind: 'string', value: 'DURATION', default: '5m', help: 'how long its yes is kept', check: duration },
  { name: 'authorization-webhook-cache-unauthorized-ttl', kind: 'string', value: 'DURATION', default: '30s', help: 'how long its no is kept', check: duration },
]

/** Shared by the server and `skiff snapshot`, so that one config file serves both. S3's names are k3s', without its etcd-. */
const SNAPSHOTS: readonly Flag[] = [
  { name: 'snapshot-dir', kind: 'string', value: 'DIR', help: 'where snapshots are kept (default <data-dir>/server/snapshots)', check: directory },
  { name: 'snapshot-retention', kind: 'number', value: 'N', default: 5, help: 'how many snapshots of one name are kept', check: atLeastOne },
  { name: 's3', kind: 'boolean', default: false, help: 'keep snapshots in S3-compatible storage, too' },
  { name: 's3-endpoint', kind: 'string', value: 'HOST[:PORT]', default: 's3.amazonaws.com', help: 'the storage', check: s3Endpoint },
  { name: 's3-endpoint-ca', kind: 'string', value: 'FILE', help: 'authority of its certificate (default: those of the system)' },
  { name: 's3-skip-ssl-verify', kind: 'boolean', default: false, help: 'take any certificate' },
  { name: 's3-insecure', kind: 'boolean', default: false, help: 'plain HTTP' },
  { name: 's3-bucket', kind: 'string', value: 'NAME', help: 'bucket' },
  { name: 's3-bucket-lookup-type', kind: 'string', value: 'auto|dns|path', default: 'auto', help: 'whether the bucket is part of the host name or of the path', check: oneOf('auto', 'dns', 'path') },
  { name: 's3-folder', kind: 'string', value: 'PATH', help: 'folder in the bucket' },
  { name: 's3-region', kind: 'string', value: 'NAME', default: 'us-east-1', help: 'region' },
  { name: 's3-timeout', kind: 'string', value: 'DURATION', default: '5m', help: 'longest time for one snapshot', check: positiveDuration },
  { name: 's3-access-key', kind: 'string', value: 'ID', help: 'config file or SKIFF_S3_ACCESS_KEY only (default: $AWS_ACCESS_KEY_ID)', isSecret: true, notOnCommandLine: true },
  { name: 's3-secret-key', kind: 'string', value: 'KEY', help: 'config file or SKIFF_S3_SECRET_KEY only (default: $AWS_SECRET_ACCESS_KEY)', isSecret: true, notOnCommandLine: true },
  { name: 's3-session-token', kind: 'string', value: 'TOKEN', help: 'config file or SKIFF_S3_SESSION_TOKEN only (default: $AWS_SESSION_TOKEN)', isSecret: true, notOnCommandLine: true },
  { name: 's3-credentials-file', kind: 'string', value: 'FILE', help: 'AWS credentials file with the keys, profile default' },
  { name: 's3-config-secret', kind: 'string', value: 'NAME', help: 'Secret in kube-system with all of these, as k3s has it (etcd-s3-bucket, etcd-s3-access-key, ...)' },
]

const SCHEDULE: readonly Flag[] = [
  { name: 'disable-snapshots', kind: 'boolean', default: false, help: 'take no snapshots by schedule' },
  { name: 'snapshot-name', kind: 'string', value: 'NAME', default: 'snapshot', help: 'what the names of scheduled snapshots begin with; the node and the time follow', check: snapshotPrefix },
  { name: 'snapshot-schedule-cron', kind: 'string', value: 'SPEC', default: '0 */12 * * *', help: 'when snapshots are taken' },
]

/** k3s' names; the prefix and the interval are kube-apiserver's. */
const DATASTORE: readonly Flag[] = [
  { name: 'datastore-endpoint', kind: 'string', value: 'URLS', help: 'members of an external etcd v3, https://host:2379,... (default: the embedded store)', isSecret: true, check: etcdEndpoints },
  { name: 'datastore-cafile', kind: 'string', value: 'FILE', help: 'authority of etcd\'s certificates' },
  { name: 'datastore-certfile', kind: 'string', value: 'FILE', help: 'certificate shown to etcd' },
  { name: 'datastore-keyfile', kind: 'string', value: 'FILE', help: 'its key' },
  { name: 'etcd-prefix', kind: 'string', value: 'PATH', default: '/registry', help: 'what all keys in etcd begin with', check: etcdPrefix },
  { name: 'etcd-compaction-interval', kind: 'string', value: 'DURATION', default: '5m', help: 'how long etcd keeps history; 0 where somebody else compacts it', check: duration },
]

export const SERVER_FLAGS: readonly Flag[] = [
  ...COMMON,
  { name: 'https-listen-port', kind: 'number', value: 'PORT', default: 6443, help: 'the one port: API, Raft and agents\' tunnels', check: port },
  { name: 'bind-address', kind: 'string', value: 'IP', default: '0.0.0.0', help: 'address to listen on', check: ip },
  { name: 'advertise-address', kind: 'string', value: 'IP', help: 'address others are told (default: the node IP)', check: ip },
  { name: 'agent-token', kind: 'string', value: 'TOKEN', help: 'secret that joins agents only (default: the token)', isSecret: true },
  { name: 'server', kind: 'string', value: 'URL', help: 'join the cluster of this server', check: url },
  { name: 'cluster-init', kind: 'boolean', default: false, help: 'start a cluster that other servers may join, or let them join this one' },
  { name: 'cluster-reset', kind: 'boolean', default: false, help: 'make a cluster of this server alone out of what it has, and end: when most servers are lost' },
  { name: 'cluster-reset-restore-path', kind: 'string', value: 'PATH', help: 'with --cluster-reset: restore this snapshot first' },
  { name: 'cluster-cidr', kind: 'string', value: 'CIDR[,CIDR]', default: '10.42.0.0/16', help: 'addresses of pods: IPv4, and IPv6 where both are wanted', check: cidrs },
  { name: 'service-cidr', kind: 'string', value: 'CIDR[,CIDR]', default: '10.43.0.0/16', help: 'addresses of Services, likewise', check: cidrs },
  { name: 'cluster-dns', kind: 'string', value: 'IP', help: 'address of cluster DNS (default: the tenth of the Service CIDR, 10.43.0.10)', check: ip },
  { name: 'cluster-domain', kind: 'string', value: 'DOMAIN', default: 'cluster.local', help: 'DNS domain of the cluster', check: domain },
  ...DATASTORE,
  { name: 'disable', kind: 'list', value: 'NAME', help: 'parts not to start: dns, proxy, scheduler, controllers', check: oneOf('dns', 'proxy', 'scheduler', 'controllers') },
  { name: 'disable-agent', kind: 'boolean', default: false, help: 'run no pods on this machine' },
  { name: 'tls-cert-file', kind: 'string', value: 'FILE', help: 'certificate for whoever calls the API port by a name that the cluster\'s own does not have, with its intermediates; changes are followed' },
  { name: 'tls-private-key-file', kind: 'string', value: 'FILE', help: 'key of that certificate' },
  { name: 'tls-sni-cert-key', kind: 'list', hasCommas: true, value: 'CERT,KEY[:NAMES]', help: 'certificate and key for these names alone (default: those in it), *.example.org, too; may be repeated; changes are followed' },
  { name: 'tls-min-version', kind: 'string', value: 'VERSION', default: 'VersionTLS12', help: 'oldest version of TLS on the API port: VersionTLS12 or VersionTLS13', check: oneOf('VersionTLS12', 'VersionTLS13') },
  { name: 'tls-cipher-suites', kind: 'list', value: 'NAMES', help: 'cipher suites of TLS 1.2 there, by their IANA names (default: all that are good)', check: suiteProblem },
  { name: 'tls-curve-preferences', kind: 'list', value: 'NUMBERS', help: 'key exchanges there, by their IANA numbers: 4588, 29, 23, ... (default: all that are good)' },
  { name: 'tls-san', kind: 'list', value: 'NAME|IP', help: 'further names and addresses for the serving certificate', check: hostOrIp },
  { name: 'write-kubeconfig', kind: 'string', value: 'PATH', default: '/etc/skiff/skiff.yaml', help: 'admin kubeconfig to write' },
  { name: 'write-kubeconfig-mode', kind: 'string', value: 'MODE', default: '0600', help: 'file mode of it', check: octalMode },
  ...LOAD,
  ...ADMISSION,
  ...AUTHENTICATION,
  ...AUTHORIZATION,
  ...ENCRYPTION,
  ...SCHEDULE,
  ...SNAPSHOTS,
  ...AUDIT,
  ...NODE,
]

export const AGENT_FLAGS: readonly Flag[] = [
  ...COMMON,
  { name: 'server', kind: 'string', value: 'URL', help: 'server to join', check: url },
  ...NODE,
]

const KUBECONFIG: Flag = { name: 'kubeconfig', kind: 'string', value: 'PATH', help: 'kubeconfig of an admin (default: $KUBECONFIG, then what the server wrote)' }

export const TOKEN_FLAGS: readonly Flag[] = [
  { name: 'ttl', kind: 'string', value: 'DURATION', default: '24h', help: 'create: how long it works, e.g. 30m, 24h, 7d; 0 for ever', check: duration },
  { name: 'description', kind: 'string', value: 'TEXT', help: 'create: what it is for' },
  { name: 'json', kind: 'boolean', default: false, help: 'list: print JSON' },
  KUBECONFIG,
]

/** Flags of the server and the agent that other verbs have to know, too. */
const named = (...names: string[]) => names.map((name) => [...SERVER_FLAGS, ...AGENT_FLAGS].find((f) => f.name === name)).filter((f) => f !== undefined)

export const CHECK_FLAGS: readonly Flag[] = [
  ...named('config', 'data-dir', 'oci-runtime', 'runtime-handler', 'flash-profile', 'protect-kernel-defaults'),
  { name: 'json', kind: 'boolean', default: false, help: 'print JSON' },
]

export const UNINSTALL_FLAGS: readonly Flag[] = [
  { name: 'yes', kind: 'boolean', default: false, help: 'really do it; without it, only what would be removed is told' },
  ...named('config', 'data-dir', 'root-dir', 'state-dir', 'cgroup-root', 'write-kubeconfig'),
]

export const IMAGES_FLAGS: readonly Flag[] = [
  ...named('config', 'data-dir', 'container-runtime-endpoint'),
  { name: 'username', kind: 'string', value: 'NAME', help: 'pull: who asks the registry; the password is read from standard input' },
  { name: 'output', kind: 'string', value: 'FILE', help: 'export: the archive (default, or -: standard output)' },
  { name: 'json', kind: 'boolean', default: false, help: 'ls: print JSON' },
]

export const MEMBERS_FLAGS: readonly Flag[] = [
  { name: 'json', kind: 'boolean', default: false, help: 'list: print JSON' },
  KUBECONFIG,
]

export const VERSION_FLAGS: readonly Flag[] = [{ name: 'json', kind: 'boolean', default: false, help: 'print JSON' }]

export const SECRETS_ENCRYPT_FLAGS: readonly Flag[] = [...named('config', 'data-dir'), KUBECONFIG]

export const SNAPSHOT_FLAGS: readonly Flag[] = [
  { name: 'name', kind: 'string', value: 'NAME', default: 'on-demand', help: 'save, prune: what the snapshot\'s name begins with; the node and the time follow', check: snapshotPrefix },
  ...named('config', 'data-dir', 'node-name', 'token'),
  ...SNAPSHOTS,
  ...DATASTORE,
  { name: 'force', kind: 'boolean', default: false, help: 'restore: also where the data directory is another cluster\'s' },
  { name: 'json', kind: 'boolean', default: false, help: 'list: print JSON' },
  KUBECONFIG,
]
