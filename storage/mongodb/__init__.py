"""The storage on a MongoDB server: documents that front ends share are BSON, our own are kept byte by byte."""
