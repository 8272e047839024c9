/** The rows of one API group, see ../registry.ts. */
import type { KubeObject, ResourceV1ResourceClaim as ResourceClaim, ResourceClaimTemplate, ResourceSlice, V1beta1ResourceClaim, V1beta1ResourceClaimTemplate, V1beta1ResourceSlice } from '#api/types/index.ts'
import type { KindRow, KindStrategy } from '../kind.ts'
import { deviceClassStrategy } from '../kinds/device-class.ts'
import { deviceTaintRuleStrategy, resourcePoolStatusRequestStrategy } from '../kinds/device-taint-rule.ts'
import { resourceClaimStrategy, resourceClaimTemplateStrategy } from '../kinds/resource-claim.ts'
import { resourceSliceStrategy } from '../kinds/resource-slice.ts'
import { resourceClaimFromV1, resourceClaimTemplateFromV1, resourceClaimTemplateToV1, resourceClaimToV1, resourceSliceFromV1, resourceSliceToV1, strategyOfView } from '../kinds/resource-v1beta1.ts'
import { deprecationWarning, refsOf, row, type RowOptions, sameShape } from './row.ts'

const GROUP = 'resource.k8s.io'
const v1 = refsOf(GROUP, 'v1')
const OLD = { v1beta2: { since: 36, gone: 39 }, v1beta1: { since: 35, gone: 38 }, v1alpha3: { since: 36, gone: 39 } }

/** A row of v1 with v1beta2, which has its shape, and v1beta1, which has not. */
function versions<S extends KubeObject, V extends KubeObject>(newest: KindRow, strategy: KindStrategy<S>, toV1: (view: V) => S, fromV1: (stored: S) => V, options: RowOptions = {}): KindRow[] {
  return [
    newest,
    ...sameShape(newest, ['v1beta2'], OLD),
    row({ ...newest.ref, version: 'v1beta1' }, strategyOfView(strategy, toV1, fromV1), {
      ...options,
      model: `V1beta1${newest.ref.kind}`,
      warning: deprecationWarning({ ...newest.ref, version: 'v1beta1' }, OLD.v1beta1),
      storedAs: { ref: newest.ref, model: newest.model, toStored: (view) => toV1(view as V), fromStored: (stored) => fromV1(stored as S) },
    }),
  ]
}

const CLAIM = { sub: ['status'] }
const classes = row(v1('deviceclasses', 'DeviceClass', false), deviceClassStrategy)
const claims = versions<ResourceClaim, V1beta1ResourceClaim>(row(v1('resourceclaims', 'ResourceClaim'), resourceClaimStrategy, { ...CLAIM, model: 'ResourceV1ResourceClaim' }), resourceClaimStrategy, resourceClaimToV1, resourceClaimFromV1, CLAIM)
const templates = versions<ResourceClaimTemplate, V1beta1ResourceClaimTemplate>(row(v1('resourceclaimtemplates', 'ResourceClaimTemplate'), resourceClaimTemplateStrategy), resourceClaimTemplateStrategy, resourceClaimTemplateToV1, resourceClaimTemplateFromV1)
const slices = versions<ResourceSlice, V1beta1ResourceSlice>(row(v1('resourceslices', 'ResourceSlice', false), resourceSliceStrategy), resourceSliceStrategy, resourceSliceToV1, resourceSliceFromV1)
const taintRules = row(refsOf(GROUP, 'v1beta2')('devicetaintrules', 'DeviceTaintRule', false), deviceTaintRuleStrategy, { model: 'V1beta2DeviceTaintRule', sub: ['status'] })
const poolStatus = row(refsOf(GROUP, 'v1alpha3')('resourcepoolstatusrequests', 'ResourcePoolStatusRequest', false), resourcePoolStatusRequestStrategy, { model: 'V1alpha3ResourcePoolStatusRequest', sub: ['status'] })

const all: KindRow[] = [classes, ...sameShape(classes, ['v1beta2', 'v1beta1'], OLD), ...claims, ...templates, ...slices, taintRules, ...sameShape(taintRules, ['v1alpha3'], OLD), poolStatus]

export const resourceRows: readonly KindRow[] = ['v1', 'v1beta2', 'v1beta1', 'v1alpha3'].flatMap((version) => all.filter((r) => r.ref.version === version))
