import Hummingbird

/// Pumice's own API, for what Cinder's has no words for: `/pumice/v1`.
struct AdminRoutes {
  let api: CoordinatorAPI

  func add(to router: Router<APIContext>) {
    let routes = Routes(api: api, versions: nil, groups: [router.group("pumice/v1")])
    addNodes(to: routes)
    addExplanation(to: routes)
    addSnapshotExplanation(to: routes)
    addDoctor(to: routes)
  }
}
