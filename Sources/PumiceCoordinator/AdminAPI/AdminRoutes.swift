import Hummingbird

/// Pumice's own API, for what Cinder's has no words for: `/pumice/v1`.
struct AdminRoutes {
  let api: CoordinatorAPI

  func add(to router: Router<APIContext>, noting list: RouteList) {
    let routes = Routes(api: api, versions: nil, under: ["pumice/v1"], of: router, noting: list)
    addNodes(to: routes)
    addExplanation(to: routes)
    addSnapshotExplanation(to: routes)
    addDoctor(to: routes)
  }
}
