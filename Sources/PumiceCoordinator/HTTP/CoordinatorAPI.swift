import Hummingbird
import Logging
import PumiceModel
import PumiceWire

/// Everything that the coordinator serves over HTTP.
///
/// | prefix            | who calls                               | errors look like |
/// |-------------------|-----------------------------------------|------------------|
/// | `/`, `/v3`        | clients of Cinder                       | Cinder's         |
/// | `/compute/v2.1`   | clients of Nova                         | Nova's           |
/// | `/identity/v3`    | clients of Keystone                     | Keystone's       |
/// | `/pumice/v1`      | the `pumice` command                    | Cinder's         |
/// | `/nodes/v1`       | agents                                  | `ErrorBody`      |
/// | `/healthz`        | monitors                                |                  |
/// | `/openapi.json`   | who wants to know what is served        |                  |
struct CoordinatorAPI: Sendable {
  let store: Store
  let policy: Policy
  let surroundings: Surroundings
  let authenticator: Authenticator
  /// What agents show to report.
  let joinToken: String
  let watch: NodeWatch
  /// For links, when a request does not say where it was sent.
  var scheme = "http"
  var authority = "127.0.0.1:8776"
  /// The machine that the coordinator runs on, where Cinder would name the scheduler's.
  var hostName = "coordinator"
  var logLevel = LogLevel(.info)

  let volumes = RowShelf<VolumeRow>()
  let snapshots = RowShelf<SnapshotRow>()
  let groups = RowShelf<GroupRow>()
  let groupSnapshots = RowShelf<GroupSnapshotRow>()

  func router() -> Router<APIContext> { routed().router }

  /// The router, and the routes in it that need a permission.
  func routed() -> (router: Router<APIContext>, routes: [RegisteredRoute]) {
    let list = RouteList()
    let router = Router(context: APIContext.self)
    router.add(middleware: RequestGate())
    BlockStorageRoutes(api: self).add(to: router, noting: list)
    ComputeRoutes(api: self).add(to: router, noting: list)
    AdminRoutes(api: self).add(to: router, noting: list)
    ReportRoutes(api: self).add(to: router)
    if case .builtin(let office) = authenticator.mode { IdentityRoutes(api: self, office: office).add(to: router) }
    router.get("healthz") { _, _ in
      Response(
        status: .ok, headers: [.contentType: "text/plain"], body: ResponseBody(byteBuffer: ByteBuffer(string: "OK\n")))
    }
    let routes = list.routes
    router.get("openapi.json") { _, _ in try Response.json(OpenAPIDocument(routes).json) }
    return (router, routes)
  }
}
