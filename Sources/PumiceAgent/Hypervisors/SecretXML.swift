import PumiceModel

/// The libvirt secret that holds an attachment's CHAP secret.
///
/// It has the attachment's own id. It is ephemeral (never on libvirt's disk, gone when libvirtd ends) and private
/// (nobody reads it back).
enum SecretXML {
  static func uuid(of attachment: AttachmentID) -> String { attachment.description }

  static func element(for attachment: AttachmentID) -> XMLElement {
    XMLElement(
      "secret", ["ephemeral": "yes", "private": "yes"],
      [
        XMLElement("uuid", text: uuid(of: attachment)),
        XMLElement("description", text: "Pumice attachment \(attachment)"),
        XMLElement("usage", ["type": "iscsi"], [XMLElement("target", text: "pumice/\(attachment)")]),
      ])
  }
}
