import Hummingbird
import PumiceModel

/// What some of Cinder's API was called when it could be there or not. Clients ask by it what there is.
private struct ExtensionResource: Encodable {
  let alias: String
  let name: String
  let description: String
  let links: [Link] = []
  let updated = "2013-01-01T00:00:00+00:00"

  init(_ alias: String, _ name: String, _ description: String) {
    self.alias = alias
    self.name = name
    self.description = description
  }

  static let all = [
    ExtensionResource("capabilities", "Capabilities", "What backends can do."),
    ExtensionResource("encryption", "VolumeTypeEncryption", "How volumes of a type are to be encrypted."),
    ExtensionResource("os-admin-actions", "AdminActions", "Status resets and forced deletions."),
    ExtensionResource("os-availability-zone", "AvailabilityZones", "Availability zones."),
    ExtensionResource(
      "os-extended-snapshot-attributes", "ExtendedSnapshotAttributes", "Project and progress of snapshots."),
    ExtensionResource("os-hosts", "Hosts", "Services by host, and what lies there."),
    ExtensionResource("os-quota-class-sets", "QuotaClasses", "Default quotas."),
    ExtensionResource("os-quota-sets", "Quotas", "Quotas of projects."),
    ExtensionResource("os-services", "Services", "Services: list, enable, disable, freeze."),
    ExtensionResource("os-snapshot-actions", "SnapshotActions", "Actions of snapshots."),
    ExtensionResource("os-snapshot-manage", "SnapshotManage", "Snapshots that nodes have are taken in."),
    ExtensionResource("os-snapshot-unmanage", "SnapshotUnmanage", "Snapshots are left to themselves."),
    ExtensionResource("os-types-extra-specs", "TypesExtraSpecs", "Extra specs of volume types."),
    ExtensionResource("os-types-manage", "TypesManage", "Volume types: create, change, delete."),
    ExtensionResource("os-used-limits", "UsedLimits", "How much of the limits is used."),
    ExtensionResource("os-vol-host-attr", "VolumeHostAttribute", "The pool of a volume."),
    ExtensionResource("os-vol-image-meta", "VolumeImageMetadata", "What is noted of a volume's image."),
    ExtensionResource("os-vol-tenant-attr", "VolumeTenantAttribute", "The project of a volume."),
    ExtensionResource("os-volume-actions", "VolumeActions", "Actions of volumes."),
    ExtensionResource("os-volume-manage", "VolumeManage", "Volumes that nodes have are taken in."),
    ExtensionResource("os-volume-transfer", "VolumeTransfer", "Volumes change hands."),
    ExtensionResource("os-volume-type-access", "VolumeTypeAccess", "Who may use private types."),
    ExtensionResource("os-volume-unmanage", "VolumeUnmanage", "Volumes are left to themselves."),
    ExtensionResource("qos-specs", "Qos_specs_manage", "Limits of volumes of a type."),
    ExtensionResource("scheduler-stats", "Scheduler_stats", "Pools and their capacity."),
  ]
}

extension BlockStorageRoutes {
  func addExtensions(to routes: Routes) {
    routes.on(.get, "extensions", needs: .readVolumes) { _ in
      try Response.json(["extensions": ExtensionResource.all])
    }
    routes.on(.get, "extensions/:alias", needs: .readVolumes) { call in
      let alias = try call.parameter("alias")
      guard let found = ExtensionResource.all.first(where: { $0.alias == alias }) else {
        throw StorageError(.notFound, "Extension \(alias.prefix(64)) could not be found.")
      }
      return try Response.json(["extension": found])
    }
  }
}
