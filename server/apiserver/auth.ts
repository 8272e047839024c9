/** Contracts of authentication and authorization; implementations are in `authn/` and `authz/`. */
import type { UserInfo } from '#api/types/index.ts'

export interface PeerCertificate {
  commonName: string
  /** Subject's O fields: the groups. */
  organizations: readonly string[]
  /** Subject's UIDs (1.3.6.1.4.1.57683.2): one or none. */
  uids?: readonly string[]
  /** SHA-256 of the certificate, in hex. */
  fingerprint?: string
  /** Until when it is good. */
  expiresMs?: number
}

export interface Credentials {
  /** The TLS client certificate, already verified against the client CA. */
  certificate?: PeerCertificate
  /** What follows `Bearer ` in Authorization. */
  bearer?: string
  /** For TokenReview: whom the token must be meant for. Default: the API itself. */
  audiences?: readonly string[]
  remoteAddress: string
}

export type Authentication =
  /** `audiences`: those of the asked ones that the token is meant for; absent for credentials that know none. `warning`: for whoever uses them. */
  | { ok: true; user: UserInfo; audiences?: readonly string[]; warning?: string }
  /** No credentials at all: the caller is anonymous. */
  | { ok: false; why: 'none' }
  /** Credentials were given and are wrong: 401. `because` is for the log only. */
  | { ok: false; why: 'invalid'; because: string }

export interface Authenticator {
  authenticate(credentials: Credentials): Promise<Authentication>
  /** The API's own: what a TokenReview that names none asks for. */
  readonly audiences?: readonly string[]
  /** Whether a request without credentials for this path is let in as the anonymous user. Absent: always. */
  mayBeAnonymous?(path: string): boolean
}

export interface Attributes {
  user: UserInfo
  /** get list watch create update patch delete deletecollection, or the lower-case HTTP method for non-resource paths. */
  verb: string
  /** For resource requests. */
  resource?: { group: string; version: string; resource: string; subresource: string; namespace: string; name: string }
  /** For list, watch and deletecollection: the request's fieldSelector as sent. A node may list pods only with `spec.nodeName=<itself>`. */
  fieldSelector?: string
  /** Likewise. */
  labelSelector?: string
  /** For others: the path. */
  path?: string
}

export interface Verdict {
  allowed: boolean
  /** For SubjectAccessReview and the 403 message; may be ''. */
  reason: string
  /** Forbidden, whatever authorizers after this one think. Never together with `allowed`. */
  denied?: true
  /** Something could not be found out, such as what a webhook says. */
  error?: string
}

export interface Authorizer {
  authorize(attributes: Attributes): Promise<Verdict>
  /** What the user may do in a namespace, for SelfSubjectRulesReview (`kubectl auth can-i --list`). */
  rulesFor(user: UserInfo, namespace: string): Promise<{
    resourceRules: { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] }[]
    nonResourceRules: { verbs: string[]; nonResourceURLs: string[] }[]
    incomplete: boolean
    /** Why it is incomplete. */
    evaluationError?: string
  }>
}
