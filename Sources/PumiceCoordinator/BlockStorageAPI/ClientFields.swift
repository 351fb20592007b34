import PumiceModel

extension RequestFields {
  /// What os-brick says of a host that wants to connect. Of the many fields for other protocols none is needed.
  ///
  /// - Throws: `invalid` without an initiator name.
  func connector() throws(StorageError) -> (client: StorageClient, mode: Attachment.Mode?) {
    let initiator = try requiredText("initiator")
    guard StorageClient.isInitiatorName(initiator) else {
      throw .invalid("connector.initiator", "must be an iSCSI name, such as iqn.2026-11.org.example:host.")
    }
    let client = StorageClient(
      host: try text("host") ?? "", initiator: initiator,
      mountPoint: try text("mountpoint").flatMap { $0.isEmpty || $0 == "na" ? nil : $0 })
    return (client, try mode("mode"))
  }

  /// `rw` or `ro`; an empty text is none.
  func mode(_ name: String) throws(StorageError) -> Attachment.Mode? {
    guard let text = try text(name), !text.isEmpty, text != "null" else { return nil }
    guard let mode = Attachment.Mode(rawValue: text) else {
      throw .invalid(name, "must be rw or ro, not '\(text.prefix(40))'.")
    }
    return mode
  }
}
