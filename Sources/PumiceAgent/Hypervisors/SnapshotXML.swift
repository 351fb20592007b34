import PumiceWire

/// libvirt's word for going over to a new layer: an external snapshot of one disk and of nothing else.
enum SnapshotXML {
  /// Disks that are not named would get layers too, whose names libvirt makes up.
  static func element(putting layer: DiskImage.Layer, before device: String, of domain: DomainXML) -> XMLElement {
    let others = domain.deviceNames.subtracting([device]).sorted()
    return XMLElement(
      "domainsnapshot", [:],
      [
        XMLElement(
          "disks", [:],
          [
            XMLElement(
              "disk", ["name": device, "snapshot": "external", "type": layer.type],
              [XMLElement("driver", ["type": layer.format.rawValue]), layer.source])
          ] + others.map { XMLElement("disk", ["name": $0, "snapshot": "no"]) })
      ])
  }
}
