import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

extension ComputeRoutes {
  /// `GET …/limits`: nothing about servers is limited here; what there is of them is told.
  func addLimits(to routes: Routes) {
    routes.on(.get, "limits", needs: .readServers) { call in
      if call.version >= Microversion(2, 75) { try call.query.refuseUnknown(except: ["tenant_id", "reserved"]) }
      if let project = call.query["tenant_id"], project != call.caller.project {
        guard call.caller.role == .admin else {
          throw StorageError(.forbidden, "The limits of other projects are for admins.")
        }
        try call.api.authenticator.requireProject(project)
      }
      return try Response.json(["limits": ComputeLimits(call)])
    }
  }
}

private struct ComputeLimits: Encodable {
  let rate: [String] = []
  let absolute: [String: Int]

  init(_ call: Call) {
    let instances = call.tables.instances().values.map(\.instance)
    var limits = [
      "maxTotalInstances": -1, "maxTotalCores": -1, "maxTotalRAMSize": -1, "maxTotalKeypairs": -1, "maxServerMeta": 0,
      "maxServerGroups": 0, "maxServerGroupMembers": 0, "totalInstancesUsed": instances.count,
      "totalCoresUsed": instances.reduce(0) { $0 + $1.vcpus },
      "totalRAMUsed": instances.reduce(0) { $0 + Flavor($1).mebibytes }, "totalServerGroupsUsed": 0,
    ]
    // What later versions leave to other services, or to nobody.
    if call.version < Microversion(2, 36) {
      for name in [
        "maxTotalFloatingIps", "totalFloatingIpsUsed", "maxSecurityGroups", "maxSecurityGroupRules",
        "totalSecurityGroupsUsed",
      ] { limits[name] = 0 }
    }
    if call.version < Microversion(2, 39) { limits["maxImageMeta"] = 0 }
    if call.version < Microversion(2, 57) {
      limits["maxPersonality"] = 0
      limits["maxPersonalitySize"] = 0
    }
    absolute = limits
  }
}
