"""The store in DynamoDB: address, tables, items, calls, units of work; `store.DynamoStore` puts them together."""
