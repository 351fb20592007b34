import HTTPTypes
import Hummingbird

extension AdminRoutes {
  /// `GET /pumice/v1/doctor`: every difference between the store and the nodes that answer now.
  func addDoctor(to routes: Routes) {
    routes.on(.get, "doctor", needs: .diagnose) { call in
      let findings = await call.api.watch.diagnose()
      return try Response.json(["findings": findings.map { FindingResource($0) }])
    }
  }
}

private struct FindingResource: Encodable {
  let kind: String
  let node: String
  let resource: String
  let detail: String
  let remedy: String

  init(_ finding: Finding) {
    kind = finding.kind.rawValue
    node = finding.node
    resource = finding.resource
    detail = finding.detail
    remedy = finding.remedy
  }
}
