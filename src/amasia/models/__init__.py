"""The nouns: frozen pydantic models, status enums, the steps a record may take, money, permissions.

The same models are the wire: fields are only ever added, unknown ones are ignored.
"""
