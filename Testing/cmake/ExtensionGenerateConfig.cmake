# Slicer writes <extension>Config.cmake for extensions that build on this one. None does.
